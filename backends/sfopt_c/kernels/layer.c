/* What computes one group, one piece of a concat, or one phase of a transposed convolution: the output's pixels first + step * i.
 * Places are bytes of the arena; -1 where there is none. */
typedef struct layer layer;
struct layer {
    /* Rows y0..y1 (of the input for a mean) and channels c0..c1 of the output. */
    void (*run)(const layer *l, int32_t y0, int32_t y1, int32_t c0, int32_t c1);
    /* The second operand of an element, and the channel scale of an element of the input. */
    int32_t (*combine)(const layer *l, int32_t v, int32_t other);
    int32_t (*scale)(const layer *l, int32_t v, int32_t channel);
    view x, out, weights, residual;
    schedule rows, channels;
    int32_t x_height, x_width, x_channels, out_width, out_channels, out_channel, groups;
    int32_t first_row, row_step, first_column, column_step;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t pad_value, out_zero, include_pad, swapped, mean, map;
    int32_t scales, scale_record, binary_record, average_record, before, after, records;
};

/* One element: the table before, the second operand, the table behind. */
static int8_t finished(const layer *l, int32_t v, const int8_t *residual, int32_t c)
{
    if (l->before >= 0)
        v = arena[l->before + (uint8_t)v];
    if (l->combine)
        v = l->combine(l, v, residual[c]);
    if (l->after >= 0)
        v = arena[l->after + (uint8_t)v];
    return (int8_t)v;
}

static int8_t *out_pixel(const layer *l, int32_t y, int32_t x)
{
    const int32_t row = l->first_row + y * l->row_step, column = l->first_column + x * l->column_step;
    return row_of(&l->out, row) + column * l->out.pixel_bytes + l->out_channel;
}

static const int8_t *residual_pixel(const layer *l, int32_t y, int32_t x)
{
    return l->combine ? row_of(&l->residual, y) + x * l->residual.pixel_bytes : 0;
}

#ifdef MODEL_OBSERVE
void model_observe(int32_t map, const int32_t place[6], const int8_t *pixels, int32_t pixel_bytes);

static void observe(const layer *l, int32_t y0, int32_t y1, int32_t c0, int32_t c1)
{
    int32_t y;
    if (l->mean) {
        y0 = 0;
        y1 = y1 == l->x_height;
    }
    for (y = y0; y < y1; ++y) {
        const int32_t row = l->first_row + y * l->row_step, channel = l->out_channel + c0;
        const int32_t place[] = {row, l->first_column, l->column_step, l->out_width, channel, c1 - c0};
        model_observe(l->map, place, out_pixel(l, y, 0) + c0, l->out.pixel_bytes * l->column_step);
    }
}
#endif

/* The rows of a band and the channels of a tile. */
static void compute(const layer *l, int32_t band, int32_t tile)
{
    const int32_t y0 = reached(&l->rows, band), y1 = reached(&l->rows, band + 1);
    const int32_t c0 = reached(&l->channels, tile), c1 = reached(&l->channels, tile + 1);
    if (y0 < y1 && c0 < c1) {
        l->run(l, y0, y1, c0, c1);
#ifdef MODEL_OBSERVE
        observe(l, y0, y1, c0, c1);
#endif
    }
}
