/* A map, or constants, in the arena: row r lies at base + (r % ring) * row_bytes, its pixels pixel_bytes apart. */
typedef struct {
    int32_t base, ring, row_bytes, pixel_bytes;
} view;

/* After index i there are min(total, first + i * step) rows, or channels. */
typedef struct {
    int32_t first, step, total;
} schedule;

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* What is there before index i; schedules are short of 2**31 by far. */
static int32_t reached(const schedule *s, int32_t i)
{
    return i > 0 ? smaller(s->total, s->first + (i - 1) * s->step) : 0;
}

static int8_t *row_of(const view *v, int32_t row)
{
    return arena + v->base + (row % v->ring) * v->row_bytes;
}
