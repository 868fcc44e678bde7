/* Rows first..last of a map into the arena. */
static void load_rows(const stream *s, int32_t first, int32_t last)
{
    const int32_t dense = s->width * s->channels;
    int32_t row, pixel, tap;
    for (row = first; row < last; ++row) {
        const int8_t *from = dram + s->dram + row * dense;
        int8_t *to = row_of(&s->in, row);
        COUNT_READ(s->count, dense);
        for (pixel = 0; pixel < s->pixels; ++pixel, to += s->in.pixel_bytes) {
            for (tap = 0; tap < s->taps; ++tap) {
                const int32_t x = pixel * s->stride - s->pad + tap;
                int8_t *place = to + tap * s->channels;
                if (x < 0 || x >= s->width)
                    memset(place, (int)s->zero, (size_t)s->channels);
                else
                    memcpy(place, from + x * s->channels, (size_t)s->channels);
            }
        }
    }
}
