static int32_t dot(const int8_t *x, const int8_t *w, int32_t n)
{
    int32_t i, sum = 0;
    for (i = 0; i < n; ++i)
        sum += x[i] * w[i];
    return sum;
}

/* As if all of x were the value that padding stands for. */
static int32_t dot_outside(int32_t value, const int8_t *w, int32_t n)
{
    int32_t i, sum = 0;
    for (i = 0; i < n; ++i)
        sum += w[i];
    return value * sum;
}

static void convolve(const layer *l, int32_t y0, int32_t y1, int32_t c0, int32_t c1)
{
    const int32_t depth = l->x_channels / l->groups, share = l->out_channels / l->groups;
    const int32_t positions = l->kernel_h * l->kernel_w;
    int32_t y, x, c, n;
    for (y = y0; y < y1; ++y) {
        for (x = 0; x < l->out_width; ++x) {
            const int8_t *residual = residual_pixel(l, y, x);
            int8_t *out = out_pixel(l, y, x);
            find_taps(l, y, x);
            SCALE_TAPS(l);
            for (c = c0; c < c1; ++c) {
                const int8_t *record = arena + l->records + 8 * c, *w = row_of(&l->weights, c);
                const int32_t first = c / share * depth;
                uint32_t acc = word_at(record);
                for (n = 0; n < positions; ++n, w += l->weights.pixel_bytes)
                    acc += (uint32_t)(taps[n] ? dot(taps[n] + first, w, depth) : dot_outside(l->pad_value, w, depth));
                out[c] = finished(l, requantised(acc, real_at(record + 4), l->out_zero), residual, c);
            }
        }
    }
}
