/* Sums of the mean that has not seen all rows. */
static int32_t sums[SUMS];

static void global_mean(const layer *l, int32_t y0, int32_t y1, int32_t c0, int32_t c1)
{
    const int8_t *record = arena + l->records;
    int32_t y, x, c;
    if (y0 == 0)
        for (c = c0; c < c1; ++c)
            sums[c] = 0;
    for (y = y0; y < y1; ++y) {
        for (x = 0; x < l->x_width; ++x) {
            const int8_t *in = row_of(&l->x, y) + x * l->x.pixel_bytes;
            for (c = c0; c < c1; ++c)
                sums[c] += l->scale ? l->scale(l, in[c], c) : in[c];
        }
    }
    if (y1 == l->x_height) {
        const int8_t *residual = residual_pixel(l, 0, 0);
        int8_t *out = out_pixel(l, 0, 0);
        for (c = c0; c < c1; ++c)
            out[c] = finished(l, requantised((uint32_t)sums[c] + word_at(record), real_at(record + 4), l->out_zero), residual, c);
    }
}
