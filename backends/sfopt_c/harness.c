/* Runs a model: the inputs come through the standard input, in order; the standard output has records of int32 and bytes:
 *   1, map, row, column, step, columns, channel, channels: some of a row that was computed, every step-th pixel from column on
 *   2, output: the whole of it
 *   3, group: the host is to run it; what the group reads is here, what it writes is expected as input
 *   4, index, direction, bytes low, bytes high: DRAM traffic of a map or a block of constants
 *   0: the end.
 * One argument, "all", asks for the records of rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static int observing;

static void give(const void *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, stdout) != size)
        exit(3);
}

static void give_record(const int32_t *values, size_t count)
{
    give(values, count * sizeof *values);
}

static size_t size_of(const model_tensor *t)
{
    return (size_t)t->height * (size_t)t->width * (size_t)t->channels;
}

static void take(const model_tensor *t)
{
    if (fread(t->data, 1, size_of(t), stdin) != size_of(t))
        exit(4);
}

void model_observe(int32_t map, const int32_t place[6], const int8_t *pixels, int32_t pixel_bytes);
void model_observe(int32_t map, const int32_t place[6], const int8_t *pixels, int32_t pixel_bytes)
{
    const int32_t head[] = {1, map};
    int32_t x;
    if (!observing)
        return;
    give_record(head, 2);
    give_record(place, 6);
    for (x = 0; x < place[3]; ++x)
        give(pixels + x * pixel_bytes, (size_t)place[5]);
}

#ifdef MODEL_HOST_GROUPS
void model_host(int32_t group)
{
    const model_host_group *g = &model_host_groups[group];
    const int32_t record[] = {3, group};
    int32_t i;
    give_record(record, 2);
    for (i = 0; i < g->read_count; ++i)
        give(g->reads[i].data, size_of(&g->reads[i]));
    fflush(stdout);
    for (i = 0; i < g->write_count; ++i)
        take(&g->writes[i]);
}
#endif

int main(int argc, char **argv)
{
    const int32_t end = 0;
    int32_t i, d;
    observing = argc > 1 && strcmp(argv[1], "all") == 0;
    for (i = 0; i < MODEL_INPUTS; ++i)
        take(&model_inputs[i]);
    model_run();
    for (i = 0; i < MODEL_OUTPUTS; ++i) {
        const int32_t record[] = {2, i};
        give_record(record, 2);
        give(model_outputs[i].data, size_of(&model_outputs[i]));
    }
    for (i = 0; i < MODEL_BLOCKS; ++i) {
        for (d = 0; d < 2; ++d) {
            const int32_t record[] = {4, i, d, (int32_t)(model_counts[i][d] & 0x7FFFFFFF), (int32_t)(model_counts[i][d] >> 31)};
            give_record(record, 5);
        }
    }
    give_record(&end, 1);
    return fflush(stdout) == 0 ? 0 : 3;
}
