/* float32 throughout: add in kernel order, divide by the count, divide by the scale, add the zero point. */
static void average_pool(const layer *l, int32_t y0, int32_t y1, int32_t c0, int32_t c1)
{
    const int8_t *record = arena + l->average_record;
    const real x_scale = real_at(record), y_scale = real_at(record + 4);
    const int32_t positions = l->kernel_h * l->kernel_w;
    int32_t y, x, c, n;
    for (y = y0; y < y1; ++y) {
        for (x = 0; x < l->out_width; ++x) {
            const int8_t *residual = residual_pixel(l, y, x);
            int8_t *out = out_pixel(l, y, x);
            int32_t inside = 0;
            find_taps(l, y, x);
            SCALE_TAPS(l);
            for (n = 0; n < positions; ++n)
                inside += taps[n] != 0;
            if (l->include_pad)
                inside = positions;
            for (c = c0; c < c1; ++c) {
                real sum = exact(0, 0);
                for (n = 0; n < positions; ++n)
                    if (taps[n])
                        sum = sum_of(sum, rounded((taps[n][c] - record[8]) * x_scale.m, x_scale.e, 0));
                sum = quotient_of(quotient_of(sum, exact(inside ? inside : 1, 0)), y_scale);
                out[c] = finished(l, clamped(nearest(sum_of(sum, exact(record[9], 0)))), residual, c);
            }
        }
    }
}
