/* A feature map between DRAM, where it is dense, and the arena. A pixel in the arena is `taps` neighbours of DRAM side by side, from
 * pixel * stride - pad on, `zero` outside the row: 1 of them, but for an input that is laid out for a convolution's columns. */
typedef struct {
    int32_t dram;
    view in;
    schedule rows;
    int32_t width, channels, count;
    int32_t pixels, taps, stride, pad, zero;
} stream;

/* A stream, and its rows of band i. */
#define BAND(s, i) &(s), reached(&(s).rows, i), reached(&(s).rows, (i) + 1)
