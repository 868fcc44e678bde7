/* Rows first..last of a map out of the arena. */
static void store_rows(const stream *s, int32_t first, int32_t last)
{
    const int32_t dense = s->width * s->channels;
    int32_t row, pixel;
    for (row = first; row < last; ++row) {
        const int8_t *from = row_of(&s->in, row);
        int8_t *to = dram + s->dram + row * dense;
        COUNT_WRITE(s->count, dense);
        for (pixel = 0; pixel < s->width; ++pixel)
            memcpy(to + pixel * s->channels, from + pixel * s->in.pixel_bytes, (size_t)s->channels);
    }
}
