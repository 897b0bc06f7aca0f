// Every kernel of the engine: the compositor's fused kernel, what it needs beside it, transitions, and
// pictures prepared for embedders and shot detectors.
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

#if PART < 2
#if F_LUT || F_LIGHT
// Tetrahedral interpolation: see `lut/mod.rs`.
__device__ void tetrahedral(const float *points, int side, const int *cell, const float *part, float *out) {
    int strides[3] = {side * side, side, 1};
    int base = cell[0] * strides[0] + cell[1] * strides[1] + cell[2];
    float a = part[0], b = part[1], c = part[2];
    int order[3];
    if (a >= b) {
        if (b >= c) order[0] = 0, order[1] = 1, order[2] = 2;
        else if (a >= c) order[0] = 0, order[1] = 2, order[2] = 1;
        else order[0] = 2, order[1] = 0, order[2] = 1;
    } else if (b >= c) {
        if (a >= c) order[0] = 1, order[1] = 0, order[2] = 2;
        else order[0] = 1, order[1] = 2, order[2] = 0;
    } else {
        order[0] = 2, order[1] = 1, order[2] = 0;
    }
    float p = part[order[0]], q = part[order[1]], r = part[order[2]];
    int first = base + strides[order[0]];
    int second = first + strides[order[1]];
    int last = base + strides[0] + strides[1] + 1;
    float w0 = 1.0f - p, w1 = p - q, w2 = q - r;
    for (int i = 0; i < 3; i++) {
        out[i] = points[3 * base + i] * w0 + points[3 * first + i] * w1 + points[3 * second + i] * w2 +
                 points[3 * last + i] * r;
    }
}
#endif

#if F_LUT
__device__ inline float placed(float value, float low, float high, int last) {
    float place = fmaxf((value - low) / (high - low), 0.0f);
    return place < 1.0f ? place * (float)last : (float)last;
}

// A curve, a cube, or both: see `lut/cube.rs`. Each table begins with its domain.
__device__ void looked_up(const Step &step, float *rgb) {
    if (step.count[0]) {
        const float *domain = (const float *)step.table[0], *points = domain + 6;
        int last = step.count[0] - 1;
        for (int i = 0; i < 3; i++) {
            float place = placed(rgb[i], domain[i], domain[3 + i], last);
            int cell = least((int)place, last - 1);
            float a = points[3 * cell + i], b = points[3 * cell + 3 + i];
            rgb[i] = a + (b - a) * (place - (float)cell);
        }
    }
    if (step.count[1]) {
        const float *domain = (const float *)step.table[1], *points = domain + 6;
        int side = step.count[1], cell[3];
        float part[3];
        for (int k = 0; k < 3; k++) {
            int i = 2 - k; // blue is slowest
            float place = placed(rgb[i], domain[i], domain[3 + i], side - 1);
            cell[k] = least((int)place, side - 2);
            part[k] = place - (float)cell[k];
        }
        tetrahedral(points, side, cell, part, rgb);
    }
}
#endif

#if F_LIGHT
#define CURVE 4096

__device__ inline float curve(const float *points, float value) {
    float place = heldf(value, 0.0f, 1.0f) * (float)CURVE;
    int cell = least((int)place, CURVE);
    return points[2 * cell] + points[2 * cell + 1] * (place - (float)cell);
}

// From HDR into standard range: see `light.rs`, `Down::run`, and `Down::device_table` for the blob.
__device__ void brought_down(const float *blob, float *codes) {
    const float *to_rgb = blob, *to_codes = blob + 12, *primaries = blob + 24;
    const float *own = blob + 36, *tone = own + 2 * (CURVE + 1), *out = tone + 2 * (CURVE + 1);
    float rgb[3], shown[3];
    for (int i = 0; i < 3; i++) {
        const float *row = to_rgb + 4 * i;
        rgb[i] = curve(own, row[0] * codes[0] + row[1] * codes[1] + row[2] * codes[2] + row[3]);
    }
    if (blob[33] != 0.0f) {
        float bright = 0.2627f * rgb[0] + 0.6780f * rgb[1] + 0.0593f * rgb[2];
        float gain = powf(fmaxf(bright, 0.0f), 0.2f);
        for (int i = 0; i < 3; i++) rgb[i] *= gain;
    }
    float peak = fmaxf(fmaxf(rgb[0], rgb[1]), rgb[2]);
    float gain = curve(tone, sqrtf(fmaxf(fminf(peak, 1.0f), 0.0f))) / fmaxf(peak, 1.0f);
    for (int i = 0; i < 3; i++) {
        const float *row = primaries + 3 * i;
        float light = (row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2]) * gain;
        shown[i] = curve(out, sqrtf(heldf(light, 0.0f, 1.0f)));
    }
    for (int i = 0; i < 3; i++) {
        const float *row = to_codes + 4 * i;
        codes[i] = row[0] * shown[0] + row[1] * shown[1] + row[2] * shown[2] + row[3];
    }
}

__device__ void through_cube(const Step &step, float *codes) {
    int side = step.count[0], cell[3];
    float part[3];
    for (int i = 0; i < 3; i++) {
        float place = heldf(codes[i] * step.f[0], 0.0f, (float)(side - 1));
        cell[i] = least((int)place, side - 2);
        part[i] = place - (float)cell[i];
    }
    tetrahedral((const float *)step.table[0], side, cell, part, codes);
}
#endif

// A colour, in code values that are not covered by anything.
__device__ void changed(const Layer &layer, const Step &step, float *codes) {
#if F_LIGHT
    if (step.kind == LIGHT_DOWN) return brought_down((const float *)step.table[0], codes);
    if (step.kind == LIGHT_CUBE) return through_cube(step, codes);
#endif
#if F_GRADE || F_LUT
    float ycc[3], rgb[3];
    ycc[0] = (codes[0] - layer.luma[0]) / layer.luma[1];
    ycc[1] = (codes[1] - layer.chroma[0]) / layer.chroma[1];
    ycc[2] = (codes[2] - layer.chroma[0]) / layer.chroma[1];
    for (int i = 0; i < 3; i++) {
        const float *m = layer.back + i;
        rgb[i] = heldf(m[0] * ycc[0] + m[3] * ycc[1] + m[6] * ycc[2], 0.0f, 1.0f);
    }
#if F_GRADE
    if (step.kind == GRADE) {
        float out[3];
        for (int i = 0; i < 3; i++) {
            const float *m = step.f + 3 * i;
            out[i] = m[0] * rgb[0] + m[1] * rgb[1] + m[2] * rgb[2] + step.f[9 + i];
        }
        for (int i = 0; i < 3; i++) rgb[i] = out[i];
    }
#endif
#if F_LUT
    if (step.kind == LUT) looked_up(step, rgb);
#endif
    for (int i = 0; i < 3; i++) rgb[i] = heldf(rgb[i], 0.0f, 1.0f);
    for (int i = 0; i < 3; i++) {
        const float *m = layer.there + i;
        float v = m[0] * rgb[0] + m[3] * rgb[1] + m[6] * rgb[2];
        codes[i] = i ? layer.chroma[0] + layer.chroma[1] * v : layer.luma[0] + layer.luma[1] * v;
    }
#endif
}

// ---- a tile ----

#define TW 64
#if HALO > 2
#define TH 16
#else
#define TH 32
#endif
#define LW (TW + 4 * HALO)
#define LH (TH + 4 * HALO)
#define CW (TW / 2 + 2 * HALO)
#define CH (TH / 2 + 2 * HALO)

// A layer's samples around a tile; those of `part` (canvas samples) are there.
struct Tile {
    u16 *y, *a, *ac;  // luma, coverage for luma and chroma
    u16 *u[2], *v[2]; // chroma, and where its next values go
    int left, top;    // the canvas sample of element 0; chroma's is half of it
    Box whole;        // what the layer touches of the canvas
    int top_code;
};

__device__ inline int at(const Tile &t, int x, int y) { return (y - t.top) * LW + x - t.left; }
__device__ inline int atc(const Tile &t, int x, int y) {
    return (y - (t.top >> 1)) * CW + x - (t.left >> 1);
}

// Chroma at the place of luma sample (x, y), between the nearest: see `convert::chroma_line`. What lies
// beyond the layer counts as its edge.
__device__ inline float chroma_at(const Tile &t, const u16 *plane, int x, int y, int site) {
    Box c = half_of(t.whole);
    int k = x >> 1, row = y >> 1, odd = y & 1;
    float part;
    if (site == 2) {
        part = odd ? 0.5f : 0.0f;
    } else {
        part = odd ? 0.25f : 0.75f;
        row -= odd ? 0 : 1;
    }
    int upper = held(row, c.top, c.bottom - 1), lower = held(row + 1, c.top, c.bottom - 1);
    int beside = site == 1 && !(x & 1) ? most(k - 1, c.left) : least(k + 1, c.right - 1);
    float a = plane[atc(t, k, upper)], b = plane[atc(t, k, lower)];
    float own = a + (b - a) * part;
    if (site != 1 && !(x & 1)) return own;
    a = plane[atc(t, beside, upper)], b = plane[atc(t, beside, lower)];
    float next = a + (b - a) * part;
    return site == 1 ? own + (next - own) * 0.25f : (own + next) * 0.5f;
}

__device__ inline float share_of(const u16 *alpha, int at, int top) {
    return alpha ? (float)alpha[at] / (float)top : 1.0f;
}

// A colour that is covered by `share`: taken straight, changed, covered again.
__device__ inline void straight(const Layer &layer, const Step &step, float share, float *codes) {
    if (share >= 1.0f) return changed(layer, step, codes);
    float by = fmaxf(share, 1e-3f);
    for (int i = 0; i < 3; i++) codes[i] /= by;
    changed(layer, step, codes);
    for (int i = 0; i < 3; i++) codes[i] *= share;
}

// One colour step on `luma` (and chroma of half its size); `now` says where chroma is.
__device__ void coloured(const Tile &t, const Layer &layer, const Step &step, Box luma, bool has_alpha,
                         int site, int now) {
    const u16 *a = has_alpha ? t.a : nullptr, *ac = has_alpha ? t.ac : nullptr;
    const u16 *u = t.u[now], *v = t.v[now];
    EACH(x, y, half_of(luma)) {
        int i = atc(t, x, y);
        float near = (float)(t.y[at(t, 2 * x, 2 * y)] + t.y[at(t, 2 * x, 2 * y + 1)]) * 0.5f;
        float codes[3] = {near, (float)u[i], (float)v[i]};
#if F_MATRIX
        if (step.kind == MATRIX) {
            float zu = ac ? (float)ac[i] * (step.f[10] / (float)t.top_code) : step.f[10];
            float zv = ac ? (float)ac[i] * (step.f[11] / (float)t.top_code) : step.f[11];
            float made = codes[1] * step.f[4] + codes[2] * step.f[5] + zu;
            codes[2] = codes[2] * step.f[8] + codes[1] * step.f[7] + zv;
            codes[1] = made;
        } else
#endif
            straight(layer, step, share_of(ac, i, t.top_code), codes);
        t.u[1 - now][i] = (u16)code(codes[1], t.top_code);
        t.v[1 - now][i] = (u16)code(codes[2], t.top_code);
    }
    __syncthreads();
    EACH(x, y, luma) {
        int i = at(t, x, y);
        float codes[3] = {(float)t.y[i], chroma_at(t, u, x, y, site), chroma_at(t, v, x, y, site)};
#if F_MATRIX
        if (step.kind == MATRIX) {
            float zero = a ? (float)a[i] * (step.f[9] / (float)t.top_code) : step.f[9];
            float tint = codes[1] * step.f[1] + codes[2] * step.f[2];
            codes[0] = codes[0] * step.f[0] + tint + zero;
        } else
#endif
            straight(layer, step, share_of(a, i, t.top_code), codes);
        t.y[i] = (u16)code(codes[0], t.top_code);
    }
    __syncthreads();
}

#if F_VIGNETTE
__device__ inline int darkened(const Step &step, const Layer &layer, int x, int y, int cell, float zero,
                               float share, int value, int top) {
    float u = (layer.origin[0] + ((float)x + 0.5f) * (float)cell) / layer.size[0] - 0.5f;
    float v = (layer.origin[1] + ((float)y + 0.5f) * (float)cell) / layer.size[1] - 0.5f;
    float far = sqrtf(u * u + v * v) * 1.41421356f, radius = step.f[1];
    float t = heldf((far - radius) / (1.0f - radius), 0.0f, 1.0f);
    float left = 1.0f - step.f[0] * t * t * (3.0f - 2.0f * t), black = zero * share;
    return code(black + ((float)value - black) * left, top);
}

__device__ void vignette(const Tile &t, const Layer &layer, const Step &step, Box luma, bool has_alpha,
                         int now) {
    EACH(x, y, luma) {
        int i = at(t, x, y);
        float share = share_of(has_alpha ? t.a : nullptr, i, t.top_code);
        t.y[i] = (u16)darkened(step, layer, x - layer.x, y - layer.y, 1, layer.luma[0], share, t.y[i],
                               t.top_code);
    }
    EACH(x, y, half_of(luma)) {
        int i = atc(t, x, y), px = x - layer.x / 2, py = y - layer.y / 2;
        float share = share_of(has_alpha ? t.ac : nullptr, i, t.top_code), zero = layer.chroma[0];
        t.u[now][i] = (u16)darkened(step, layer, px, py, 2, zero, share, t.u[now][i], t.top_code);
        t.v[now][i] = (u16)darkened(step, layer, px, py, 2, zero, share, t.v[now][i], t.top_code);
    }
    __syncthreads();
}
#endif

#if F_KEY
__device__ inline int times(int value, int alpha, int top) { return (value * alpha + top / 2) / top; }

// See `effect/key.rs`. Coverage is made on `around`, everything else on `luma` within it.
__device__ void keyed(const Tile &t, const Layer &layer, const Step &step, Box around, Box luma, int site,
                      int now) {
    float zero = layer.chroma[0], span = layer.chroma[1];
    u16 *u = t.u[now], *v = t.v[now];
    EACH(x, y, around) {
        float cb = (chroma_at(t, u, x, y, site) - zero) / span - step.f[0];
        float cr = (chroma_at(t, v, x, y, site) - zero) / span - step.f[1];
        float s = heldf((sqrtf(cb * cb + cr * cr) - step.f[2]) / step.f[3], 0.0f, 1.0f);
        t.a[at(t, x, y)] = (u16)code(s * s * (3.0f - 2.0f * s) * (float)t.top_code, t.top_code);
    }
    __syncthreads();
    int last = t.whole.right - 1;
    EACH(x, y, half_of(luma)) {
        int i = atc(t, x, y), sum = 0;
        for (int r = -1; r < 2; r++) {
            int wr = site == 2 ? 2 - (r ? 1 : 0) : (r < 0 ? 0 : 2);
            if (!wr) continue;
            for (int c = -1; c < 2; c++) {
                int wc = site != 1 ? 2 - (c ? 1 : 0) : (c < 0 ? 0 : 2);
                if (!wc) continue;
                int sx = held(2 * x + c, t.whole.left, last), sy = most(2 * y + r, t.whole.top);
                sum += t.a[at(t, sx, sy)] * wr * wc;
            }
        }
        int alpha = held((sum + 8) >> 4, 0, t.top_code);
        t.ac[i] = (u16)alpha;
        float b = ((float)u[i] - zero) / span, r = ((float)v[i] - zero) / span;
        float spilt = fmaxf(b * step.f[5] + r * step.f[6], 0.0f) * step.f[4];
        int cb = code(zero + span * (b - spilt * step.f[5]), t.top_code);
        int cr = code(zero + span * (r - spilt * step.f[6]), t.top_code);
        u[i] = (u16)times(cb, alpha, t.top_code);
        v[i] = (u16)times(cr, alpha, t.top_code);
    }
    __syncthreads();
    EACH(x, y, luma) { t.y[at(t, x, y)] = (u16)times(t.y[at(t, x, y)], t.a[at(t, x, y)], t.top_code); }
    __syncthreads();
}
#endif

#if F_ROTATE
// The cubic at a place of a plane; beyond the edge the edge goes on: see `turn.rs`.
__device__ float sampled(const Plane &p, double px, double py, const float *phases) {
    double fx = floor(px), fy = floor(py);
    const float *wx = phases + 4 * least((int)((px - fx) * 256.0 + 0.5), 256);
    const float *wy = phases + 4 * least((int)((py - fy) * 256.0 + 0.5), 256);
    int x = (int)fx - 1, y = (int)fy - 1;
    float sum = 0.0f;
    for (int j = 0; j < 4; j++) {
        int row = held(y + j, 0, p.height - 1);
        float line = 0.0f;
        for (int i = 0; i < 4; i++) line += (float)load(p, held(x + i, 0, p.width - 1), row) * wx[i];
        sum += line * wy[j];
    }
    return sum;
}

// How much of the target sample in column n and row m (from the part's begin) is covered.
__device__ inline float soft(double d, double size, double cell) {
    double inner = fmin(d / cell + 0.5, (size - d) / cell + 0.5);
    return (float)fmax(fmin(inner, fmin(size, 1.0)), 0.0);
}

// A sample of a turned layer over `under` and, where there is one, `beneath` (coverage).
__device__ void over_turned(const Layer &layer, int plane, int n, int m, const float *phases, int top,
                            u16 *under, u16 *beneath) {
    int half = plane > 0;
    double cell = half ? 2.0 : 1.0, x = n, y = m, sin = layer.turn[0], cos = layer.turn[1];
    double u = layer.middle[half][0] + (cos * x + sin * y) * cell;
    double v = layer.middle[half][1] + (cos * y - sin * x) * cell;
    float there = soft(u, layer.whole[0], cell) * soft(v, layer.whole[1], cell) * fminf(layer.opacity, 1.0f);
    if (there <= 0.0f) return;
    double px = layer.place[half][0] + layer.dx[0] * x + layer.dy[0] * y;
    double py = layer.place[half][1] + layer.dx[1] * x + layer.dy[1] * y;
    float share = there;
    const Plane &own = layer.plane[3 + half];
    if (own.base) share *= heldf(sampled(own, px, py, phases) / (float)top, 0.0f, 1.0f);
    float value = sampled(layer.plane[plane], px, py, phases) * there;
    *under = (u16)code((float)*under * (1.0f - share) + value, top);
    if (beneath) *beneath = (u16)code((float)*beneath * (1.0f - share) + share * (float)top, top);
}
#endif

// The canvas's samples of a tile.
struct Held {
    u16 *y, *u, *v, *a, *ac;
};

// `made` over the canvas's sample `at` of a plane.
__device__ inline void blended(u16 *under, int made, int alpha, bool has_alpha, const Layer &layer,
                               float all, float column, int top) {
    if (layer.raw) {
        *under = (u16)made;
    } else if (has_alpha) {
        *under = (u16)over_covered(*under, made, alpha, all, column, top);
    } else {
        *under = (u16)over_opaque(*under, made, all, column, top);
    }
}

extern "C" __global__ void __launch_bounds__(256) compose(const __grid_constant__ Compose p) {
    __shared__ u16 held_y[TW * TH], held_u[TW * TH / 4], held_v[TW * TH / 4];
    __shared__ u16 lay_y[LW * LH], lay_u[2][CW * CH], lay_v[2][CW * CH];
#if F_COVER || F_KEY
    __shared__ u16 held_a[TW * TH], held_ac[TW * TH / 4], lay_a[LW * LH], lay_ac[CW * CH];
#else
    u16 *held_a = nullptr, *held_ac = nullptr, *lay_a = nullptr, *lay_ac = nullptr;
#endif
#if F_SCALE
    __shared__ i16 words[WORDS];
#else
    i16 *words = nullptr;
#endif
    const int left = (int)blockIdx.x * TW, top = (int)blockIdx.y * TH;
    const Box tile = {left, top, least(left + TW, p.width), least(top + TH, p.height)};
    const int top_code = top_of(p.up);
    const bool canvas_alpha = (F_COVER || F_KEY) && p.canvas[3].base != 0;
    Held h = {held_y, held_u, held_v, held_a, held_ac};

    // What lies under a layer that hides all of the tile is not looked at.
    int first = 0;
    bool hidden = false;
    for (int l = 0; l < p.count; l++) {
        const Layer &layer = p.layers[l];
        if (layer.opaque && layer.x <= tile.left && layer.y <= tile.top &&
            layer.x + layer.width >= tile.right && layer.y + layer.height >= tile.bottom) {
            first = l;
            hidden = true;
        }
    }
    if (!hidden) {
        EACH(x, y, tile) {
            int i = (y - top) * TW + x - left;
            h.y[i] = (u16)(p.clear ? p.ground[0] : load(p.canvas[0], x, y));
            if (canvas_alpha) h.a[i] = (u16)(p.clear ? 0 : load(p.canvas[3], x, y));
        }
        EACH(x, y, half_of(tile)) {
            int i = (y - top / 2) * (TW / 2) + x - left / 2;
            h.u[i] = (u16)(p.clear ? p.ground[1] : load(p.canvas[1], x, y));
            h.v[i] = (u16)(p.clear ? p.ground[2] : load(p.canvas[2], x, y));
            if (canvas_alpha) h.ac[i] = (u16)(p.clear ? 0 : load(p.canvas[4], x, y));
        }
    }
    __syncthreads();

    for (int l = first; l < p.count; l++) {
        const Layer &layer = p.layers[l];
        const Box whole = {layer.x, layer.y, layer.x + layer.width, layer.y + layer.height};
        const Box on = {most(tile.left, whole.left), most(tile.top, whole.top),
                        least(tile.right, whole.right), least(tile.bottom, whole.bottom)};
        if (empty(on)) continue;
#if F_ROTATE
        if (layer.turned) {
            const float *phases = (const float *)p.phases;
            EACH(x, y, on) {
                int i = (y - top) * TW + x - left;
                over_turned(layer, 0, x - layer.x, y - layer.y, phases, top_code, h.y + i,
                            canvas_alpha ? h.a + i : nullptr);
            }
            EACH(x, y, half_of(on)) {
                int i = (y - top / 2) * (TW / 2) + x - left / 2;
                int n = x - layer.x / 2, m = y - layer.y / 2;
                over_turned(layer, 1, n, m, phases, top_code, h.u + i, canvas_alpha ? h.ac + i : nullptr);
                over_turned(layer, 2, n, m, phases, top_code, h.v + i, nullptr);
            }
            __syncthreads();
            continue;
        }
#endif
        Tile t = {lay_y, lay_a, lay_ac, {lay_u[0], lay_u[1]}, {lay_v[0], lay_v[1]},
                  left - 2 * HALO, top - 2 * HALO, whole, top_of(layer.work_up)};
        int halo = HALO ? layer.halo : 0, now = 0;
        // The part of the layer that is within so many chroma samples of the tile.
        auto within = [&](int chroma) {
            Box box = {most(tile.left - 2 * chroma, whole.left), most(tile.top - 2 * chroma, whole.top),
                       least(tile.right + 2 * chroma, whole.right),
                       least(tile.bottom + 2 * chroma, whole.bottom)};
            return box;
        };
        const Box around = within(halo), around_c = half_of(around);
        const int ups[2] = {layer.in_up, layer.work_up};
        bool has_alpha = (F_COVER || F_KEY) && layer.plane[3].base != 0;
        const int cx = layer.x / 2, cy = layer.y / 2;
        resized(layer.plane[0], layer.axis[0], layer.axis[1], around, layer.x, layer.y, ups, t.y, LW,
                t.left, t.top, words);
        resized(layer.plane[1], layer.axis[2], layer.axis[3], around_c, cx, cy, ups, t.u[0], CW,
                t.left / 2, t.top / 2, words);
        resized(layer.plane[2], layer.axis[2], layer.axis[3], around_c, cx, cy, ups, t.v[0], CW,
                t.left / 2, t.top / 2, words);
#if F_COVER
        if (has_alpha) {
            resized(layer.plane[3], layer.axis[0], layer.axis[1], around, layer.x, layer.y, ups, t.a, LW,
                    t.left, t.top, words);
            resized(layer.plane[4], layer.axis[2], layer.axis[3], around_c, cx, cy, ups, t.ac, CW,
                    t.left / 2, t.top / 2, words);
            if (layer.in_up != layer.work_up) {
                // 255 times four is not 1023: coverage is stretched to stay whole.
                __syncthreads();
                int full = (top_of(layer.in_up) << layer.in_up) >> layer.work_up;
                EACH(x, y, around) {
                    u16 &a = t.a[at(t, x, y)];
                    a = (u16)held((a * t.top_code + full / 2) / full, 0, t.top_code);
                }
                EACH(x, y, around_c) {
                    u16 &a = t.ac[atc(t, x, y)];
                    a = (u16)held((a * t.top_code + full / 2) / full, 0, t.top_code);
                }
            }
        }
#endif
        __syncthreads();
        for (int s = layer.first_step; s < layer.first_step + layer.steps; s++) {
            const Step &step = p.steps[s];
#if F_VIGNETTE
            if (step.kind == VIGNETTE) {
                vignette(t, layer, step, within(halo), has_alpha, now);
                continue;
            }
#endif
#if F_KEY
            if (step.kind == KEY) {
                keyed(t, layer, step, within(halo - 1), within(halo - 2), p.site, now);
                halo -= 2;
                has_alpha = true;
                continue;
            }
#endif
            coloured(t, layer, step, within(halo - 1), has_alpha, p.site, now);
            halo -= 1;
            now = 1 - now;
        }

        const float opacity = fminf(layer.opacity, 1.0f);
        const bool narrow = layer.work_up < p.up;
        auto narrowed = [&](int v) { return narrow ? held(((v << 4) + 32) >> 6, 0, 255) : v; };
        EACH(x, y, on) {
            int i = (y - top) * TW + x - left, j = at(t, x, y);
            float all = covered(layer.edge + 2, y - layer.y, 1, layer.height) * opacity;
            float column = covered(layer.edge, x - layer.x, 1, layer.width);
            int alpha = has_alpha ? narrowed(t.a[j]) : top_code;
            if (all <= 0.0f && !layer.raw) continue;
            blended(h.y + i, narrowed(t.y[j]), alpha, has_alpha, layer, all, column, top_code);
            if (canvas_alpha) blended(h.a + i, alpha, alpha, has_alpha, layer, all, column, top_code);
        }
        EACH(x, y, half_of(on)) {
            int i = (y - top / 2) * (TW / 2) + x - left / 2, j = atc(t, x, y);
            float all = covered(layer.edge + 2, y - cy, 2, layer.height) * opacity;
            float column = covered(layer.edge, x - cx, 2, layer.width);
            int alpha = has_alpha ? narrowed(t.ac[j]) : top_code;
            if (all <= 0.0f && !layer.raw) continue;
            blended(h.u + i, narrowed(t.u[now][j]), alpha, has_alpha, layer, all, column, top_code);
            blended(h.v + i, narrowed(t.v[now][j]), alpha, has_alpha, layer, all, column, top_code);
            if (canvas_alpha) blended(h.ac + i, alpha, alpha, has_alpha, layer, all, column, top_code);
        }
        __syncthreads();
    }

    EACH(x, y, tile) {
        int i = (y - top) * TW + x - left;
        store(p.canvas[0], x, y, h.y[i]);
        if (canvas_alpha) store(p.canvas[3], x, y, h.a[i]);
    }
    EACH(x, y, half_of(tile)) {
        int i = (y - top / 2) * (TW / 2) + x - left / 2;
        store(p.canvas[1], x, y, h.u[i]);
        store(p.canvas[2], x, y, h.v[i]);
        if (canvas_alpha) store(p.canvas[4], x, y, h.ac[i]);
    }
}

#endif // PART < 2

#if PART == 0 || PART == 2
// ---- layers that are only shifted: no arithmetic but the blend, sixteen bytes at a time ----

// Sixteen bytes of `over` on those of `under`, all of one weight (of 65536). Two bytes beside each
// other and two weights make one sum of which byte 2 is the rounded code value.
__device__ inline u32 mixed_bytes(u32 under, u32 over, u32 weight) {
    u32 weights = (65536u - weight) | weight << 16;
    u32 low = __byte_perm(under, over, 0x5140), high = __byte_perm(under, over, 0x7362);
    u32 a = __dp2a_lo(weights, low, 0x8000u), b = __dp2a_hi(weights, low, 0x8000u);
    u32 c = __dp2a_lo(weights, high, 0x8000u), d = __dp2a_hi(weights, high, 0x8000u);
    return __byte_perm(__byte_perm(a, b, 0x0062), __byte_perm(c, d, 0x0062), 0x5410);
}

__device__ inline u32 mixed_words(u32 under, u32 over, u32 weight, int shift) {
    u32 out = 0;
    for (int i = 0; i < 32; i += 16) {
        u32 a = (under >> i & 0xffff) >> shift, b = (over >> i & 0xffff) >> shift;
        out |= (((a * (65536u - weight) + b * weight + 0x8000u) >> 16) << shift) << i;
    }
    return out;
}

// One sample of plane k at (x, y) of the plane, through all layers.
__device__ void plain_sample(const Compose &p, int k, int x, int y) {
    int half = k > 0, top = top_of(p.up);
    int v = p.clear ? p.ground[k] : load(p.canvas[k], x, y);
    for (int l = 0; l < p.count; l++) {
        const Layer &layer = p.layers[l];
        int n = x - (layer.x >> half), m = y - (layer.y >> half);
        if (n < 0 || m < 0 || n >= layer.width >> half || m >= layer.height >> half) continue;
        const Axis &ax = layer.axis[2 * half], &ay = layer.axis[2 * half + 1];
        float all = covered(layer.edge + 2, m, 1 << half, layer.height) * fminf(layer.opacity, 1.0f);
        float column = covered(layer.edge, n, 1 << half, layer.width);
        if (all <= 0.0f) continue;
        int from = load(layer.plane[k], ax.first + n, ay.first + m);
        const Plane &own = layer.plane[3 + half];
        if (F_COVER && own.base) {
            int alpha = load(own, ax.first + n, ay.first + m);
            if (alpha) v = over_covered(v, from, alpha, all, column, top);
        } else {
            v = over_opaque(v, from, all, column, top);
        }
    }
    store(p.canvas[k], x, y, v);
}

extern "C" __global__ void __launch_bounds__(256) compose_plain(const __grid_constant__ Compose p) {
    // Interleaved chroma is one plane of pairs here.
    const int bytes = p.canvas[0].wide ? 2 : 1;
    const bool pairs = p.canvas[1].sx == 2 * bytes;
    const int rows = p.height + (pairs ? p.height / 2 : p.height);
    const int segments = (p.width * bytes + 15) / 16;
    STRIDE(n, rows * segments) {
        int row = n / segments, from = (n - row * segments) * (16 / bytes);
        int k = row < p.height ? 0 : pairs || row < p.height + p.height / 2 ? 1 : 2;
        int y = k == 0 ? row : k == 1 ? row - p.height : row - p.height - p.height / 2;
        int half = k > 0, across = k && pairs ? 2 : 1;
        // Samples from `from` on, `across` of them beside each other at one place.
        int width = k && !pairs ? p.width / 2 : p.width, count = 16 / bytes;
        if (from >= width) continue;
        u64 at = p.canvas[k].base + y * p.canvas[k].sy + (i64)from * bytes;
        bool wide = from + count <= width && !(at & 15);
        u32 kept[4];
        bool have = false;
        if (wide && p.clear) {
            u32 a = (u32)p.ground[k] << p.canvas[k].shift;
            u32 b = across == 2 ? (u32)p.ground[2] << p.canvas[k].shift : a;
            u32 word = bytes == 2 ? a | b << 16 : (a | b << 8) * 0x10001u;
            for (int i = 0; i < 4; i++) kept[i] = word;
            have = true;
        }
        int x = from / across, places = count / across;
        for (int l = 0; wide && l < p.count; l++) {
            const Layer &layer = p.layers[l];
            const Plane &plane = layer.plane[k];
            int nx = x - (layer.x >> half), m = y - (layer.y >> half);
            if (nx + places <= 0 || m < 0 || nx >= layer.width >> half || m >= layer.height >> half) continue;
            float weight = covered(layer.edge + 2, m, 1 << half, layer.height) * fminf(layer.opacity, 1.0f);
            if (weight <= 0.0f) continue;
            u64 source = plane.base + (layer.axis[2 * half + 1].first + m) * plane.sy +
                         (i64)(layer.axis[2 * half].first + nx) * plane.sx;
            wide = nx >= 0 && nx + places <= layer.width >> half && !(source & 3) && !layer.plane[3].base &&
                   plane.sx == across * bytes && plane.wide == p.canvas[k].wide &&
                   plane.shift == p.canvas[k].shift &&
                   covered(layer.edge, nx, 1 << half, layer.width) >= 1.0f &&
                   covered(layer.edge, nx + places - 1, 1 << half, layer.width) >= 1.0f &&
                   (across == 1 || layer.plane[2].base == plane.base + bytes);
            if (!wide) break;
            u32 over[4];
            if (source & 15) {
                for (int i = 0; i < 4; i++) over[i] = ((const u32 *)source)[i];
            } else {
                uint4 four = *(const uint4 *)source;
                over[0] = four.x, over[1] = four.y, over[2] = four.z, over[3] = four.w;
            }
            if (weight >= 1.0f) {
                for (int i = 0; i < 4; i++) kept[i] = over[i];
            } else {
                if (!have) {
                    uint4 four = *(const uint4 *)at;
                    kept[0] = four.x, kept[1] = four.y, kept[2] = four.z, kept[3] = four.w;
                }
                u32 whole = (u32)held((int)(weight * 65536.0f + 0.5f), 1, 65535);
                for (int i = 0; i < 4; i++) {
#if F_WIDE
                    if (bytes == 2) kept[i] = mixed_words(kept[i], over[i], whole, p.canvas[k].shift);
                    else
#endif
                        kept[i] = mixed_bytes(kept[i], over[i], whole);
                }
            }
            have = true;
        }
        if (wide) {
            if (have) *(uint4 *)at = make_uint4(kept[0], kept[1], kept[2], kept[3]);
            continue;
        }
        for (int i = from; i < least(from + count, width); i++) {
            plain_sample(p, across == 2 ? 1 + i % 2 : k, i / across, y);
        }
    }
}

#endif // PART == 0 || PART == 2

#if PART == 0 || PART == 3
// ---- passes over one plane, for blurs: across into words, down into samples ----

extern "C" __global__ void __launch_bounds__(256) resample_across(const __grid_constant__ Resample p) {
    STRIDE(n, p.width * p.height) {
        int x = n % p.width, y = n / p.width;
        ((i16 *)p.words)[n] = (i16)across(p.from, p.axis, x, y, p.up);
    }
}

extern "C" __global__ void __launch_bounds__(256) resample_down(const __grid_constant__ Resample p) {
    STRIDE(n, p.width * p.to.height) {
        int x = n % p.width, y = n / p.width, first = first_of(p.axis, y), sum;
        const i16 *column = (const i16 *)p.words + (i64)first * p.width + x;
        if (p.axis.taps) {
            const i16 *weights = weights_of(p.axis, y);
            sum = 0;
            for (int k = 0; k < p.axis.taps; k++) sum += column[(i64)k * p.width] * weights[k];
        } else {
            sum = column[0] << 14;
        }
        store(p.to, x, y, rounded(sum, p.up));
    }
}

// `to` with `amount` of its difference to `from`, which is itself blurred.
extern "C" __global__ void __launch_bounds__(256) sharpen(const __grid_constant__ Resample p) {
    STRIDE(n, p.width * p.height) {
        int x = n % p.width, y = n / p.width;
        int own = load(p.to, x, y), soft = load(p.from, x, y);
        store(p.to, x, y, held(own + (((own - soft) * p.amount + 128) >> 8), 0, top_of(p.up)));
    }
}

// ---- transitions: see `transition/` ----

enum { DISSOLVE, DIP, WIPE, SLIDE, PUSH, ZOOM, CIRCLE_OPEN, CIRCLE_CLOSE, BARN_DOOR, CLOCK, ALL_A, ALL_B };
enum { TO_LEFT, TO_RIGHT, TO_TOP, TO_BOTTOM };

__device__ inline float smooth_step(float low, float high, float x) {
    float t = heldf((x - low) / (high - low), 0.0f, 1.0f);
    return t * t * (3.0f - 2.0f * t);
}

__device__ inline int moved(int length, float progress) {
    return length - least((int)((float)length * (1.0f - progress)), length);
}

__device__ inline int shaped(const Plane &a, const Plane &b, int x, int y, float share, int top) {
    float from = (float)load(a, x, y), to = (float)load(b, x, y);
    return code(from + (to - from) * share, top);
}

__device__ inline int summed(const Plane &a, const Plane &b, int x, int y, float wa, float wb, int colour,
                             int top) {
    int one = 1 << 14, va = (int)floorf(wa * (float)one + 0.5f), vb = (int)floorf(wb * (float)one + 0.5f);
    int shift = colour * most(one - va - vb, 0) + one / 2;
    return held((load(a, x, y) * va + load(b, x, y) * vb + shift) >> 14, 0, top);
}

__device__ int between(const Transition &p, int k, int x, int y) {
    const Plane &a = p.a[k], &b = p.b[k];
    const int w = a.width, h = a.height, top = top_of(p.up);
    const float progress = p.progress, left = 1.0f - progress;
    switch (p.kind) {
    case ALL_A:
        return load(a, x, y);
    case ALL_B:
        return load(b, x, y);
    case DISSOLVE:
        return summed(a, b, x, y, 1.0f - progress, progress, 0, top);
    case DIP: {
        float first = smooth_step(0.8f, 1.0f, left) * left;
        float second = (1.0f - smooth_step(0.2f, 1.0f, left)) * progress;
        return summed(a, b, x, y, first, second, p.colour[k], top);
    }
    case WIPE: {
        bool shows = p.direction == TO_LEFT    ? x >= w - moved(w, progress)
                     : p.direction == TO_RIGHT ? x < moved(w, progress)
                     : p.direction == TO_TOP   ? y >= h - moved(h, progress)
                                               : y < moved(h, progress);
        return load(shows ? b : a, x, y);
    }
    case SLIDE:
    case PUSH: {
        int across = moved(w, progress), down = moved(h, progress), push = p.kind == PUSH;
        switch (p.direction) {
        case TO_LEFT:
            return x < w - across ? load(a, x + push * across, y) : load(b, x - (w - across), y);
        case TO_RIGHT:
            return x < across ? load(b, x + w - across, y) : load(a, x - push * across, y);
        case TO_TOP:
            return y < h - down ? load(a, x, y + push * down) : load(b, x, y - (h - down));
        default:
            return y >= down ? load(a, x, y - push * down) : load(b, x, y + h - down);
        }
    }
    case ZOOM: {
        float size = smooth_step(0.5f, 1.0f, left), first = smooth_step(0.0f, 0.5f, left);
        float mx = ((float)w - 1.0f) / 2.0f, my = ((float)h - 1.0f) / 2.0f;
        float px = heldf(mx + ((float)x - mx) * size, 0.0f, (float)w - 1.0f);
        float py = heldf(my + ((float)y - my) * size, 0.0f, (float)h - 1.0f);
        int l = (int)px, u = (int)py, r = least(l + 1, w - 1), d = least(u + 1, h - 1);
        float side = px - (float)l, part = py - (float)u;
        float ul = (float)load(a, l, u), ur = (float)load(a, r, u);
        float dl = (float)load(a, l, d), dr = (float)load(a, r, d);
        float above = ul + (ur - ul) * side, below = dl + (dr - dl) * side;
        float zoomed = above + (below - above) * part, next = (float)load(b, x, y);
        return code(next + (zoomed - next) * first, top);
    }
    case CIRCLE_OPEN:
    case CIRCLE_CLOSE: {
        bool closes = p.kind == CIRCLE_CLOSE;
        float mx = (float)(w / 2), my = (float)(h / 2);
        float grown = (0.5f - (closes ? 1.0f - progress : progress)) * 3.0f;
        float far = hypotf((float)x - mx, (float)y - my) / hypotf(mx, my) + grown;
        float outside = smooth_step(0.0f, 1.0f, far);
        return shaped(a, b, x, y, closes ? outside : 1.0f - outside, top);
    }
    case BARN_DOOR: {
        float middle = (float)(w / 2);
        float place = 2.0f - fabsf(((float)x - middle) / middle) - (1.0f - progress) * 2.0f;
        return shaped(a, b, x, y, smooth_step(0.0f, 1.0f, place), top);
    }
    default: {
        float mx = ((float)w - 1.0f) / 2.0f, my = ((float)h - 1.0f) / 2.0f;
        float turn = atan2f((float)x - mx, my - (float)y) / 6.28318530717958647692f;
        if (turn < 0.0f) turn += 1.0f;
        return shaped(a, b, x, y, smooth_step(0.0f, 0.05f, progress * 1.05f - turn), top);
    }
    }
}

extern "C" __global__ void __launch_bounds__(256) transition(const __grid_constant__ Transition p) {
    const int luma = p.out[0].width * p.out[0].height, chroma = p.out[1].width * p.out[1].height;
    STRIDE(n, luma + 2 * chroma) {
        int k = n < luma ? 0 : n < luma + chroma ? 1 : 2;
        int i = n - (k == 0 ? 0 : k == 1 ? luma : luma + chroma);
        int x = i % p.out[k].width, y = i / p.out[k].width;
        store(p.out[k], x, y, between(p, k, x, y));
    }
}

// ---- pictures for embedders ----

__device__ inline u16 to_half(float v) {
    // IEEE 754 binary16, to the nearest, ties to even. Inputs are finite and far inside its range.
    union { float f; u32 u; } bits = {v};
    u32 sign = bits.u >> 16 & 0x8000, magnitude = bits.u & 0x7fffffff;
    if (magnitude >= 0x47800000) return (u16)(sign | 0x7c00);
    if (magnitude < 0x38800000) {
        bits.u = magnitude;
        bits.f += 0.5f; // the sum rounds to what a subnormal can hold
        return (u16)(sign | (bits.u - 0x3f000000));
    }
    magnitude += 0xfff + (magnitude >> 13 & 1);
    return (u16)(sign | (magnitude - 0x38000000) >> 13);
}

// R′G′B′ of a part of a picture, resized and normalised, plane after plane (NCHW).
extern "C" __global__ void __launch_bounds__(256) tensor(const __grid_constant__ Tensor p) {
    const int area = p.width * p.height;
    const float unit = 1.0f / (float)(1 << 14) / (float)(1 << p.up), top = (float)top_of(p.up);
    STRIDE(n, area) {
        int x = n % p.width, y = n / p.width;
        float codes[3];
        for (int k = 0; k < 3; k++) {
            int half = k > 0;
            int sum = direct(p.plane[k], p.axis[2 * half], p.axis[2 * half + 1], x, y, p.up);
            codes[k] = heldf((float)sum * unit, 0.0f, top);
        }
        float luma = (codes[0] - p.luma[0]) / p.luma[1];
        float cb = (codes[1] - p.chroma[0]) / p.chroma[1], cr = (codes[2] - p.chroma[0]) / p.chroma[1];
        for (int i = 0; i < 3; i++) {
            const float *m = p.back + i;
            float v = heldf(m[0] * luma + m[3] * cb + m[6] * cr, 0.0f, 1.0f);
            v = (v - p.mean[i]) * p.scale[i];
            if (p.half) ((u16 *)p.out)[(i64)i * area + n] = to_half(v);
            else ((float *)p.out)[(i64)i * area + n] = v;
        }
    }
}

// ---- what shot detectors look at ----

// How often each of 256 shades of luma occurs, added to `out`.
extern "C" __global__ void __launch_bounds__(256) histogram(const __grid_constant__ Look p) {
    __shared__ u32 bins[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) bins[i] = 0;
    __syncthreads();
    const Plane &luma = p.plane[0];
    STRIDE(n, luma.width * luma.height) {
        int v = load(luma, n % luma.width, n / luma.width);
        atomicAdd(&bins[luma.wide ? v >> 2 : v], 1u);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x) {
        if (bins[i]) atomicAdd((u32 *)p.out + i, bins[i]);
    }
}

#define SMALL_W 48
#define SMALL_H 27

// A picture of 48 × 27, each value the mean of those it stands for, full range: one block for each
// value. See `media/small.rs`.
extern "C" __global__ void __launch_bounds__(64) small(const __grid_constant__ Look p) {
    __shared__ u32 total;
    if (threadIdx.x == 0) total = 0;
    __syncthreads();
    const int cell = (int)blockIdx.x % (SMALL_W * SMALL_H), k = (int)blockIdx.x / (SMALL_W * SMALL_H);
    const Plane &plane = p.plane[k];
    const int cx = cell % SMALL_W, cy = cell / SMALL_W;
    const int left = cx * plane.width / SMALL_W, top = cy * plane.height / SMALL_H;
    const int right = most((cx + 1) * plane.width / SMALL_W, left + 1);
    const int bottom = most((cy + 1) * plane.height / SMALL_H, top + 1);
    const int step = plane.height >= 8 * SMALL_H ? 2 : 1;
    const int rows = (bottom - top + step - 1) / step, columns = right - left;
    u32 sum = 0;
    for (int i = threadIdx.x; i < rows * columns; i += blockDim.x) {
        int v = load(plane, left + i % columns, top + i / columns * step);
        sum += (u32)(plane.wide ? (v + 2) >> 2 : v);
    }
    atomicAdd(&total, sum);
    __syncthreads();
    if (threadIdx.x == 0) {
        u32 count = (u32)(rows * columns);
        int value = (int)((total + count / 2) / count);
        if (!p.full_range) {
            int low = k ? 128 : 16, span = k ? 224 : 219, wide = (value - low) * 255 * 2 / span;
            int sign = (wide > 0) - (wide < 0);
            value = held((wide + sign) / 2 + (k ? 128 : 0), 0, 255);
        }
        ((u8 *)p.out)[blockIdx.x] = (u8)least(value, 255);
    }
}

// Sums of absolute differences between two small pictures (`other` and the one before it in `plane[0]`),
// a number for each plane.
extern "C" __global__ void __launch_bounds__(256) difference(const __grid_constant__ Look p) {
    __shared__ u32 sums[3];
    if (threadIdx.x < 3) sums[threadIdx.x] = 0;
    if (blockDim.x < 3) sums[0] = sums[1] = sums[2] = 0;
    __syncthreads();
    const u8 *a = (const u8 *)p.plane[0].base, *b = (const u8 *)p.other;
    for (int i = threadIdx.x; i < 3 * SMALL_W * SMALL_H; i += blockDim.x) {
        int d = (int)a[i] - (int)b[i];
        atomicAdd(&sums[i / (SMALL_W * SMALL_H)], (u32)(d < 0 ? -d : d));
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = 0; i < 3; i++) ((u32 *)p.out)[i] = sums[i];
    }
}
#endif // PART == 0 || PART == 3
