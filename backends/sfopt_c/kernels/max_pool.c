static void max_pool(const layer *l, int32_t y0, int32_t y1, int32_t c0, int32_t c1)
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
                int32_t most = -128;
                for (n = 0; n < positions; ++n)
                    if (taps[n] && taps[n][c] > most)
                        most = taps[n][c];
                out[c] = finished(l, most, residual, c);
            }
        }
    }
}
