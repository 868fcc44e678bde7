/* Constants on their way into the arena: rows of some pixels of some channels each, dense where they come from. */
typedef struct {
    const int8_t *from;
    view to;
    schedule rows;
    int32_t pixels, channels, count;
} block;

/* The rows of tile `index`; of a block that comes whole, tile 0. */
static void load_block(const block *b, int32_t index)
{
    const int32_t dense = b->pixels * b->channels;
    int32_t row, pixel;
    for (row = reached(&b->rows, index); row < reached(&b->rows, index + 1); ++row) {
        const int8_t *from = b->from + row * dense;
        int8_t *to = row_of(&b->to, row);
        for (pixel = 0; pixel < b->pixels; ++pixel)
            memcpy(to + pixel * b->to.pixel_bytes, from + pixel * b->channels, (size_t)b->channels);
        COUNT_READ(b->count, dense);
    }
}
