/* Where each kernel position meets the input, for one output pixel; 0 outside of it. */
static const int8_t *taps[TAPS];

static void find_taps(const layer *l, int32_t y, int32_t x)
{
    int32_t i, j, n = 0;
    for (i = 0; i < l->kernel_h; ++i) {
        const int32_t row = y * l->stride_h - l->pad_top + i * l->dilation_h;
        for (j = 0; j < l->kernel_w; ++j, ++n) {
            const int32_t column = x * l->stride_w - l->pad_left + j * l->dilation_w;
            const int inside = row >= 0 && row < l->x_height && column >= 0 && column < l->x_width;
            taps[n] = inside ? row_of(&l->x, row) + column * l->x.pixel_bytes : 0;
        }
    }
}
