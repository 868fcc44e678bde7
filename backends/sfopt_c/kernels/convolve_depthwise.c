static void convolve_depthwise(const layer *l, int32_t y0, int32_t y1, int32_t c0, int32_t c1)
{
    const int32_t positions = l->kernel_h * l->kernel_w;
    int32_t y, x, c, n;
    for (y = y0; y < y1; ++y) {
        for (x = 0; x < l->out_width; ++x) {
            const int8_t *residual = residual_pixel(l, y, x);
            int8_t *out = out_pixel(l, y, x);
            find_taps(l, y, x);
            SCALE_TAPS(l);
            for (c = c0; c < c1; ++c) {
                const int8_t *record = arena + l->records + 8 * c, *w = row_of(&l->weights, 0) + c;
                uint32_t acc = word_at(record);
                for (n = 0; n < positions; ++n)
                    acc += (uint32_t)((taps[n] ? taps[n][c] : l->pad_value) * w[n * l->weights.pixel_bytes]);
                out[c] = finished(l, requantised(acc, real_at(record + 4), l->out_zero), residual, c);
            }
        }
    }
}
