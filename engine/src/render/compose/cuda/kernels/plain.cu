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

