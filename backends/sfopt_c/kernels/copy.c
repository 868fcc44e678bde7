/* Pixel for pixel, or each pixel stride_h * stride_w times. */
static void copy(const layer *l, int32_t y0, int32_t y1, int32_t c0, int32_t c1)
{
    int32_t y, x, c;
    for (y = y0; y < y1; ++y) {
        for (x = 0; x < l->out_width; ++x) {
            const int8_t *in = row_of(&l->x, y / l->stride_h) + x / l->stride_w * l->x.pixel_bytes;
            const int8_t *residual = residual_pixel(l, y, x);
            int8_t *out = out_pixel(l, y, x);
            for (c = c0; c < c1; ++c)
                out[c] = finished(l, l->scale ? l->scale(l, in[c], c) : in[c], residual, c);
        }
    }
}
