// Every kernel of the engine is one text, in this order: this file (what all of them need), tile.cu (the
// compositor's fused kernel), plain.cu (layers that are only shifted), passes.cu (blurs, transitions,
// pictures for embedders and shot detectors).
//
// NVRTC compiles this at run time, once for each set of features that an edit needs: the macros of
// `mask.rs` come by -D and cut out what is not asked for. In the tests a C++ compiler makes the same
// text into CPU code (`emulate.h`). So there is nothing here but CUDA C that both understand:
//
// - Loops over samples go in steps of the block (EACH), so that a block of any size, one thread
//   included, does the same work.
// - Sums of a resize are those of the CPU (`kernel.rs`) to the bit: words of 14 bits between the passes.
//   What is computed in floats is computed in the same order and rounded at the same places.
// - Structures are shared with `params.rs`, whose sizes are asserted on both sides.
//
// A layer's colours cannot be changed sample by sample: luma needs the chroma around it, chroma the luma
// (4:2:0), and each step takes what the one before it left. So a block holds a tile of the layer with a
// halo in shared memory; each step leaves one chroma sample of halo less.

typedef unsigned char u8;
typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

// ---- what this module is made for; all of it unless told otherwise ----
#ifndef F_SCALE
#define F_SCALE 1
#endif
#ifndef F_COVER
#define F_COVER 1
#endif
#ifndef F_ROTATE
#define F_ROTATE 1
#endif
#ifndef F_WIDE
#define F_WIDE 1
#endif
#ifndef F_GRADE
#define F_GRADE 1
#endif
#ifndef F_LUT
#define F_LUT 1
#endif
#ifndef F_VIGNETTE
#define F_VIGNETTE 1
#endif
#ifndef F_KEY
#define F_KEY 1
#endif
#ifndef F_MATRIX
#define F_MATRIX 1
#endif
#ifndef F_LIGHT
#define F_LIGHT 1
#endif
#ifndef F_RAW
#define F_RAW 1
#endif
// Which kernels: 0 all, 1 `compose`, 2 `compose_plain`, 3 the others.
#ifndef PART
#define PART 0
#endif
// Chroma samples of halo: 0, 1, 2 or 4.
#ifndef HALO
#define HALO 4
#endif

#define MAX_LAYERS 4
#define MAX_STEPS 16

// ---- shared with params.rs ----

// A plane; sample (x, y) lies at base + x * sx + y * sy. Turned planes have other signs, and the chroma
// of NV12 a step of two samples.
struct Plane {
    u64 base;
    i64 sy;
    int sx;
    int width, height;
    int wide;  // samples are 16-bit words
    int shift; // bits that words are moved up by (6 in P010)
    int pad;
};

// One direction of a resize: taps weights for each output sample, from start on. No taps: a shift by
// `first`.
struct Axis {
    u64 start;   // u32 each
    u64 weights; // i16, taps each
    int taps;
    int first;
};

struct Layer {
    Plane plane[5]; // luma, Cb, Cr, coverage for luma and for chroma (base 0 where opaque)
    Axis axis[4];   // luma across and down, chroma across and down
    int x, y, width, height; // what it touches of the canvas, even
    float edge[4];  // how far it begins after x, ends behind x + width; the same for y
    float opacity;
    int opaque;     // nothing beneath it shows
    int turned;     // sampled at an angle: `turn` counts
    int raw;        // replaces the canvas, coverage too
    int in_up, work_up; // depths: 6 for 8 bit, 4 for 10 bit
    int first_step, steps;
    int halo;       // chroma samples of halo that its steps use up
    float origin[2]; // where the part begins in the whole layer
    float size[2];   // of the whole layer
    float back[9], there[9]; // Y′CbCr to R′G′B′ and back, columns
    float luma[2], chroma[2]; // zero and span of code values
    int pad;
    // Rotation, see `rotate.rs`: the place of sample (0, 0) on luma and on chroma, its change with x and
    // with y, sine and cosine, the middle of the first sample for luma and for chroma, the layer's size.
    double place[2][2], dx[2], dy[2], turn[2], middle[2][2], whole[2];
};

enum { GRADE, LUT, VIGNETTE, KEY, MATRIX, LIGHT_DOWN, LIGHT_CUBE };

struct Step {
    u64 table[2];
    int kind;
    int count[2];
    int pad;
    float f[12];
};

struct Compose {
    Plane canvas[5];
    Layer layers[MAX_LAYERS];
    Step steps[MAX_STEPS];
    u64 phases; // the cubic at 257 places, four weights each
    int count, width, height;
    int site;   // 0 left, 1 centre, 2 top left
    int up;     // the canvas's depth
    int clear;  // the canvas begins as `ground` and is not read
    int ground[3];
    int pad;
};

struct Resample {
    Plane from, to;
    Axis axis;
    u64 words; // i16, rows of `width`
    int width, height;
    int up;
    int amount; // of sharpening, in 256ths
};

struct Transition {
    Plane a[3], b[3], out[3];
    int kind;
    int direction;
    int up;
    int colour[3];
    float progress;
    int pad;
};

struct Tensor {
    Plane plane[3];
    Axis axis[4];
    u64 out;
    int width, height;
    int up;
    int half; // 16-bit floats
    float luma[2], chroma[2];
    float back[9];
    float mean[3], scale[3];
    int pad;
};

struct Look {
    Plane plane[3];
    u64 out, other;
    int full_range;
    int pad;
};

static_assert(sizeof(Plane) == 40 && sizeof(Axis) == 24 && sizeof(Step) == 80, "params.rs");
static_assert(sizeof(Layer) == 600, "params.rs");
static_assert(sizeof(Compose) == 200 + 4 * 600 + 16 * 80 + 48, "params.rs");
static_assert(sizeof(Resample) == 128 && sizeof(Transition) == 392, "params.rs");
static_assert(sizeof(Tensor) == 320 && sizeof(Look) == 144, "params.rs");
static_assert(sizeof(Compose) <= 4096, "what a launch can pass");

// ---- threads ----

#define LANES ((int)blockDim.x < 32 ? (int)blockDim.x : 32)
#define EACH(col, row, box)                                                                          \
    for (int row = (box).top + (int)threadIdx.x / LANES; row < (box).bottom;                         \
         row += (int)blockDim.x / LANES)                                                             \
        for (int col = (box).left + (int)threadIdx.x % LANES; col < (box).right; col += LANES)

// Items of a whole launch: no picture has more samples than an int counts.
#define STRIDE(n, count)                                                                             \
    for (int n = (int)(blockIdx.x * blockDim.x + threadIdx.x); n < (int)(count);                    \
         n += (int)(gridDim.x * blockDim.x))

struct Box {
    int left, top, right, bottom;
};

__device__ inline bool empty(Box b) { return b.left >= b.right || b.top >= b.bottom; }
__device__ inline Box half_of(Box b) { return {b.left >> 1, b.top >> 1, b.right >> 1, b.bottom >> 1}; }

__device__ inline int least(int a, int b) { return a < b ? a : b; }
__device__ inline int most(int a, int b) { return a > b ? a : b; }
__device__ inline int held(int v, int low, int high) { return v < low ? low : v > high ? high : v; }
__device__ inline float heldf(float v, float low, float high) { return fminf(fmaxf(v, low), high); }

// The largest code value of a depth.
__device__ inline int top_of(int up) { return up == 6 ? 255 : 1023; }

// The code value of what was computed.
__device__ inline int code(float v, int top) { return (int)heldf(v + 0.5f, 0.0f, (float)top + 0.5f); }

__device__ inline int load(const Plane &p, int x, int y) {
    const u8 *at = (const u8 *)p.base + y * p.sy + (i64)x * p.sx;
#if F_WIDE
    if (p.wide) return least(*(const u16 *)at >> p.shift, 1023);
#endif
    return *at;
}

__device__ inline void store(const Plane &p, int x, int y, int v) {
    u8 *at = (u8 *)p.base + y * p.sy + (i64)x * p.sx;
#if F_WIDE
    if (p.wide) {
        *(u16 *)at = (u16)(v << p.shift);
        return;
    }
#endif
    *at = (u8)v;
}

// ---- resize ----

__device__ inline int first_of(const Axis &axis, int i) {
    return axis.taps ? (int)((const u32 *)axis.start)[i] : axis.first + i;
}

__device__ inline const i16 *weights_of(const Axis &axis, int i) {
    return (const i16 *)axis.weights + (i64)i * axis.taps;
}

// A word between the passes: output column i of row y.
__device__ inline int across(const Plane &from, const Axis &axis, int i, int y, int up) {
    int first = first_of(axis, i);
    if (!axis.taps) return load(from, first, y) << up;
    const i16 *weights = weights_of(axis, i);
    int sum = 0;
    for (int k = 0; k < axis.taps; k++) sum += load(from, first + k, y) * weights[k];
    int down = 14 - up;
    return held((sum + (1 << (down - 1))) >> down, -32768, 32767);
}

// The sum of a column of words, 14 bits of weight above them.
__device__ inline int direct(const Plane &from, const Axis &ax, const Axis &ay, int i, int j, int up) {
    int first = first_of(ay, j);
    if (!ay.taps) return across(from, ax, i, first, up) << 14;
    const i16 *weights = weights_of(ay, j);
    int sum = 0;
    for (int k = 0; k < ay.taps; k++) sum += across(from, ax, i, first + k, up) * weights[k];
    return sum;
}

__device__ inline int rounded(int sum, int up) {
    int down = 14 + up;
    return held((sum + (1 << (down - 1))) >> down, 0, top_of(up));
}

#define WORDS 8192

// The part `box` of a plane's grid, which begins at (x, y) of the same space, into `out` (rows of
// `pitch`, which begin at (left, top)). All threads of a block come here together.
__device__ void resized(const Plane &from, const Axis &ax, const Axis &ay, Box box, int x, int y,
                        const int *ups, u16 *out, int pitch, int left, int top, i16 *words) {
    int in_up = ups[0], work_up = ups[1];
#if F_SCALE
    if (ax.taps || ay.taps) {
        int low = first_of(ay, box.top - y), width = box.right - box.left;
        int high = first_of(ay, box.bottom - 1 - y) + most(ay.taps, 1);
        if ((high - low) * width <= WORDS) {
            Box rows = {box.left, low, box.right, high};
            EACH(i, j, rows) {
                words[(j - low) * width + i - box.left] = (i16)across(from, ax, i - x, j, in_up);
            }
            __syncthreads();
            EACH(i, j, box) {
                int first = first_of(ay, j - y) - low, sum = 0;
                const i16 *column = words + first * width + i - box.left;
                if (ay.taps) {
                    const i16 *weights = weights_of(ay, j - y);
                    for (int k = 0; k < ay.taps; k++) sum += column[k * width] * weights[k];
                } else {
                    sum = column[0] << 14;
                }
                out[(j - top) * pitch + i - left] = (u16)rounded(sum, work_up);
            }
            __syncthreads();
            return;
        }
        EACH(i, j, box) {
            int sum = direct(from, ax, ay, i - x, j - y, in_up);
            out[(j - top) * pitch + i - left] = (u16)rounded(sum, work_up);
        }
        return;
    }
#endif
    EACH(i, j, box) {
        int v = load(from, ax.first + i - x, ay.first + j - y);
        if (in_up != work_up) v = held(((v << in_up) + (1 << (work_up - 1))) >> work_up, 0, top_of(work_up));
        out[(j - top) * pitch + i - left] = (u16)v;
    }
}

// ---- one sample over another ----

// How much of canvas sample `at` (cells of `cell` from the part's begin) a layer covers along a
// direction of `count` luma samples.
__device__ inline float covered(const float *edge, int at, int cell, int count) {
    float left = (float)(at * cell);
    float before = fmaxf(edge[0] - left, 0.0f);
    float behind = fmaxf(left + (float)(cell - count) - edge[1], 0.0f);
    return heldf(((float)cell - before - behind) * (cell == 2 ? 0.5f : 1.0f), 0.0f, 1.0f);
}

__device__ inline int over_opaque(int under, int from, float all, float column, int top) {
    if (all * column >= 1.0f) return from;
    float value = (float)under + (float)(from - under) * (all * column);
    return code(value, top);
}

__device__ inline int over_covered(int under, int from, int alpha, float all, float column, int top) {
    float share = all / (float)top;
    float left = (float)under * (1.0f - (float)alpha * (share * column));
    return code(left + (float)from * (all * column), top);
}

