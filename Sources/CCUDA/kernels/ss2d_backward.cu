// Gradients of the 2-D selective scan in four directions with one state a channel, over a map that lies channels last.
//
// A ring of WARPS warps covers a whole plane of 8 channels at once: warp w owns chunk w, 8 lines of ITEMS positions
// that follow each other on the path; lane 4 g + q owns line `line(g)` of channels 2q and 2q + 1. So each direction needs
// the states' scan and the reverse scan of their gradients once, and one exchange between warps serves both: the factor
// that a line keeps is the same either way. x, dy and the sum dx of the directions lie in shared memory.
//
// A block has one tile of 8 channels and the RINGS of a block as many images, which share what is summed over positions.
// What a tile adds to the gradient of the projection's rows goes to global memory once, and `ss2d_backward_rows` adds it
// up over an image's tiles: blocks that run at the same time work on few images, so the rows that they read stay in the
// second-level cache.
//
// ELEMENT is 1 or 2. RANK is even. WRAP 0 promises that ITEMS divides both sides.
#include "prelude.cuh"
#include "ss2d_tile.cuh"

constexpr int pairs = (ITEMS + 1) / 2;
constexpr unsigned ones = ELEMENT == 1 ? 0x3c003c00u : 0x3f803f80u;
constexpr bool keeps_words = steps == 1;  // else they are read again on the way back, and
constexpr bool early = !keeps_words;      // registers are left to load the maps before they are needed

struct Arguments {
  const element *dy, *x, *projection;
  const float *weight, *bias, *a, *d;
  element *dx, *drows;
  uint2 *rows;        // [images of a launch][channels / 8][4][WARPS][pairs][steps][32]: two words of elements
  float *totals;      // [groups][channels / 8][tile_totals], a group being RINGS images
  float *parameters;  // the gradients of weight [4, D, R], bias, a and d [4, D]
  int channels, height, width;
  int pitch;   // pixels from one row of the plane in shared memory to the next
  int order;   // how lines are laid on lanes: with the pitch, it keeps lanes off each other's banks
  int first, end;  // images of this launch; the first is the first of a group
  long long dy_image, dy_pixel, x_image, x_pixel, projection_image, dx_image, dx_pixel;
};

// What the warps of a block tell each other: the whole chunk's kept factor, state after it, gradient before it.
struct Summary {
  float2 kept[4], state[4], gradient[4];
};
// A warp's sums over its positions: of 8 channels each row of the weight's gradient, then bias and a.
constexpr int sum_rows = 8 * steps + 2;
typedef float Sums[sum_rows][8];
constexpr int tile_totals = (4 * sum_rows + 1) * 8;  // of four directions in the order of turns, and of d

DEVICE int line_of(int group, int order) {
  return order == 0   ? group
         : order == 1 ? (group & 1) | (group & 2) << 1 | (group & 4) >> 1
                      : (group & 3) << 1 | group >> 2;
}
DEVICE int group_of(int line, int order) {
  return order == 0 ? line : order == 1 ? (line & 1) | (line & 2) << 1 | (line & 4) >> 1 : line >> 1 | (line & 1) << 2;
}

struct Lane {
  int number, q, group, line, warp, order;
  DEVICE explicit Lane(int thread, int order)
      : number(thread & 31), q(thread & 3), group(number >> 2), line(line_of(group, order)), warp(thread >> 5),
        order(order) {}
  DEVICE int lane_of(int of_line) const { return group_of(of_line, order) * 4 + q; }
};

struct Plane {
  int height, width, length;
  float per_width, per_height;
  DEVICE explicit Plane(const Arguments &g)
      : height(g.height), width(g.width), length(g.height * g.width), per_width(1.f / (float)g.width),
        per_height(1.f / (float)g.height) {}
};

struct Line {
  int outer, place, inner;
  int inside;  // positions of the line inside the plane
  DEVICE Line(const Plane &p, Direction k, int chunk, int line) {
    const int first = (chunk * 8 + line) * ITEMS;
    inside = p.length - first;
    const int forward = inside > 0 ? first : 0;
    const int s = k.reverse ? p.length - 1 - forward : forward;
    inner = k.column ? p.height : p.width;
    outer = quotient(s, k.column ? p.per_height : p.per_width);
    place = s - outer * inner;
  }
#if WRAP
  DEVICE bool has(int j) const { return j < inside; }
#else
  DEVICE bool has(int) const { return inside > 0; }
#endif
};

// A lane's line, forward and back, in steps of `unit` a pixel.
struct Walk {
  int at, step;
#if WRAP
  int left, inner, jump;
#endif
  DEVICE Walk(Direction k, const Line &line, int pitch, int unit, int first) {
    const int along = (k.column ? pitch : 1) * unit, across = (k.column ? 1 : pitch) * unit;
    at = first + line.outer * across + line.place * along;
    step = k.reverse ? -along : along;
#if WRAP
    inner = line.inner;
    left = k.reverse ? line.place + 1 : inner - line.place;
    jump = k.reverse ? inner * along - across : across - inner * along;
#endif
  }
  DEVICE int next() {
    const int now = at;
    at += step;
#if WRAP
    if (--left == 0) {
      at += jump;
      left = inner;
    }
#endif
    return now;
  }
  DEVICE int previous() {
#if WRAP
    if (left == inner) {
      at -= jump;
      left = 0;
    }
    left++;
#endif
    at -= step;
    return at;
  }
  // The other end of a line of ITEMS.
  DEVICE void pass() {
#if WRAP
    for (int j = 0; j < ITEMS; j++) next();
#else
    at += ITEMS * step;
#endif
  }
};

DEVICE void fetch_row(unsigned (&words)[steps], const char *rows, unsigned at, int q) {
#pragma unroll
  for (int s = 0; s < fours; s += 4) {
    const uint4 v = __ldg((const uint4 *)(rows + (s * 16 + q * 16) + at));
    words[s] = v.x; words[s + 1] = v.y; words[s + 2] = v.z; words[s + 3] = v.w;
  }
  if constexpr (steps % 4 >= 2) {
    const uint2 v = __ldg((const uint2 *)(rows + (fours * 16 + q * 8) + at));
    words[fours] = v.x; words[fours + 1] = v.y;
  }
  if constexpr (steps % 2 == 1) words[steps - 1] = __ldg((const unsigned *)(rows + ((steps - 1) * 16 + q * 4) + at));
}

// log2(1 + 2^z), which is z where the sum overflows.
DEVICE float softplus(float z) { return max(z, fast_log2(1.f + fast_exp2(min(z, 126.f)))); }

DEVICE void block_barrier() {
  if (RINGS * WARPS > 1) __syncthreads(); else __syncwarp();
}

// The state before a lane's line, and the gradient that comes back from behind it.
struct Ends {
  float state[2], gradient[2];
};

// A lane's line as if nothing came before it or after it.
struct LineSummary {
  float kept[2], state[2], gradient[2];
};

// Sums over the lines of the warp before (or after) this lane's; writes the warp's own summary.
struct Neighbours {
  float kept_before[2], state[2], kept_after[2], gradient[2];
  DEVICE Neighbours(const LineSummary &own, const Lane &n, Summary &out) {
    float kept[2] = {own.kept[0], own.kept[1]}, h[2] = {own.state[0], own.state[1]};
#pragma unroll
    for (int b = 0; b < 3; b++) {
      const int from = n.lane_of(n.line >= 1 << b ? n.line - (1 << b) : 0);
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const float k = __shfl_sync(~0u, kept[i], from), v = __shfl_sync(~0u, h[i], from);
        if (n.line >= 1 << b) {
          h[i] = fmaf(kept[i], v, h[i]);
          kept[i] *= k;
        }
      }
    }
    if (n.line == 7) out.kept[n.q] = make_float2(kept[0], kept[1]), out.state[n.q] = make_float2(h[0], h[1]);
    const int up = n.lane_of(n.line ? n.line - 1 : 0), down = n.lane_of(n.line < 7 ? n.line + 1 : 7);
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const float k = __shfl_sync(~0u, kept[i], up), v = __shfl_sync(~0u, h[i], up);
      kept_before[i] = n.line ? k : 1.f;
      state[i] = n.line ? v : 0.f;
      kept[i] = own.kept[i];
      h[i] = own.gradient[i];
    }
#pragma unroll
    for (int b = 0; b < 3; b++) {
      const int from = n.lane_of(n.line + (1 << b) < 8 ? n.line + (1 << b) : 7);
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const float k = __shfl_sync(~0u, kept[i], from), v = __shfl_sync(~0u, h[i], from);
        if (n.line + (1 << b) < 8) {
          h[i] = fmaf(kept[i], v, h[i]);
          kept[i] *= k;
        }
      }
    }
    if (n.line == 0) out.gradient[n.q] = make_float2(h[0], h[1]);
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const float k = __shfl_sync(~0u, kept[i], down), v = __shfl_sync(~0u, h[i], down);
      kept_after[i] = n.line < 7 ? k : 1.f;
      gradient[i] = n.line < 7 ? v : 0.f;
    }
  }

  // With what the other warps wrote. Eight groups of lanes share the chunks, in order.
  DEVICE Ends ends(const Lane &n, const Summary *all) const {
    float2 k_before = make_float2(1.f, 1.f), before = make_float2(0.f, 0.f), k_after = k_before, after = before;
    if (WARPS > 1) {
      constexpr int share = (WARPS + 7) / 8;
#pragma unroll
      for (int w = 0; w < share; w++) {
        const int up = n.group * share + w, down = n.group * share + share - 1 - w;
        if (up < n.warp) {
          const float2 k = all[up].kept[n.q], v = all[up].state[n.q];
          before = make_float2(fmaf(k.x, before.x, v.x), fmaf(k.y, before.y, v.y));
          k_before.x *= k.x; k_before.y *= k.y;
        }
        if (down > n.warp && down < WARPS) {
          const float2 k = all[down].kept[n.q], v = all[down].gradient[n.q];
          after = make_float2(fmaf(k.x, after.x, v.x), fmaf(k.y, after.y, v.y));
          k_after.x *= k.x; k_after.y *= k.y;
        }
      }
#pragma unroll
      for (int b = 1; b < 8; b *= 2) {
        const bool later = n.group & b;
        join(k_before.x, before.x, later, b);
        join(k_before.y, before.y, later, b);
        join(k_after.x, after.x, !later, b);
        join(k_after.y, after.y, !later, b);
      }
    }
    return {{fmaf(kept_before[0], before.x, state[0]), fmaf(kept_before[1], before.y, state[1])},
            {fmaf(kept_after[0], after.x, gradient[0]), fmaf(kept_after[1], after.y, gradient[1])}};
  }

 private:
  // Puts the shares of two groups of lanes one after the other; `last`: this lane's is the second.
  static DEVICE void join(float &kept, float &sum, bool last, int b) {
    const float k = __shfl_xor_sync(~0u, kept, 4 * b), v = __shfl_xor_sync(~0u, sum, 4 * b);
    sum = last ? fmaf(kept, v, sum) : fmaf(k, sum, v);
    kept *= k;
  }
};

// The planes of a tile in shared memory: x and dy, 16 bytes a pixel, and the sum dx of the directions in float.
struct Maps {
  char *x, *dy, *dx;
};

// The same as addresses: of x, and from there to dy and, at twice the distance, dx.
struct Addresses {
  unsigned x, to_dy, to_dx;
  DEVICE explicit Addresses(const Maps &maps) : x(shared_address(maps.x)) {
    to_dy = shared_address(maps.dy) - x;
    to_dx = shared_address(maps.dx) - 2 * x;
  }
};

// Operands of the tensor core that make numbers of elements, exactly: those of a row of 8, or B or C for every channel.
struct Numbers {
  unsigned same, b, c;
  DEVICE explicit Numbers(const Lane &n)
      : same(n.group == 2 * n.q ? ones & 0xffffu : n.group == 2 * n.q + 1 ? ones & 0xffff0000u : 0u),
        b(n.q == gate_lane() ? ones & 0xffffu : 0u), c(n.q == gate_lane() ? ones & 0xffff0000u : 0u) {}
};

// One turn of one tile for one warp.
struct Turn {
  const Arguments &g;
  const Plane p;
  const Lane &n;
  const Direction k;
  const Line line;
  const char *rows;  // the direction's, of the image
  unsigned words[keeps_words ? ITEMS : 1][steps];
  unsigned step_pairs[ITEMS];   // log2-softplus of both channels
  unsigned state_pairs[ITEMS];  // what is left of the state before, if the line starts with 0
  float a[2], exponents[2];  // of what the line has kept up to an item

  DEVICE Turn(const Arguments &g, const Lane &n, int image, int turn)
      : g(g), p(g), n(n), k(turn), line(p, k, n.warp, n.line),
        rows((const char *)(g.projection + image * g.projection_image + k.index() * row_size)) {}

  DEVICE Walk source() const { return Walk(k, line, p.width, 8 * row_size, 0); }
  DEVICE Walk inner(const Addresses &maps) const { return Walk(k, line, g.pitch, 16, (int)maps.x + 4 * n.q); }
  // A line outside the plane walks along its first positions, where WRAP 0 promises that a line fits.
#if WRAP
  DEVICE int inside(int j, int at, int other = 0) const { return line.has(j) ? at : other; }
#else
  DEVICE int inside(int, int at, int = 0) const { return at; }
#endif
  DEVICE void fetch(unsigned (&to)[steps], int j, int at) const { fetch_row(to, rows, (unsigned)inside(j, at), n.q); }

  DEVICE void fetch_pair(unsigned (&to)[2][steps], Walk &source, int m) const {
    fetch(to[0], 2 * m, source.next());
    if (2 * m + 1 < ITEMS) fetch(to[1], 2 * m + 1, source.next());
    else for (int s = 0; s < steps; s++) to[1][s] = 0;
  }
  DEVICE void fetch_pair_back(unsigned (&to)[2][steps], Walk &source, int m) const {
    if (2 * m + 1 < ITEMS) fetch(to[1], 2 * m + 1, source.previous());
    else for (int s = 0; s < steps; s++) to[1][s] = 0;
    fetch(to[0], 2 * m, source.previous());
  }

  DEVICE LineSummary summarize(const Parameters &parameters, const Maps &maps) {
    const Numbers numbers(n);
    unsigned high[steps], low[steps];
    float bias[4];  // twice, as the product of two items takes it
#pragma unroll
    for (int i = 0; i < 2; i++) {
      bias[i] = parameters.bias[k.index()][2 * n.q + i] * log2_e;
      bias[i + 2] = *(const volatile float *)&parameters.bias[k.index()][2 * n.q + i] * log2_e;
      if (!WRAP && !line.has(0)) bias[i] = bias[i + 2] = -1e30f;  // steps of 0
      a[i] = parameters.a[k.index()][2 * n.q + i];
    }
#pragma unroll
    for (int s = 0; s < steps; s++) {
      const int r = 2 * word_of(n.q, s);
      float2 w = make_float2(0.f, 0.f);
      if (r < RANK) w = *(const float2 *)&parameters.weight[k.index()][n.group][r];
      w.x *= log2_e; w.y *= log2_e;
      high[s] = pack(w.x, w.y);
      const float2 rounded = unpack(high[s]);
      low[s] = pack(w.x - rounded.x, w.y - rounded.y);
    }
    const Addresses addresses(maps);
    Walk source = this->source(), inner = this->inner(addresses);
    if constexpr (keeps_words) {
#pragma unroll
      for (int j = 0; j < ITEMS; j++) fetch(words[j], j, source.next());
    }
    LineSummary all{{1.f, 1.f}, {0.f, 0.f}, {0.f, 0.f}};
    exponents[0] = exponents[1] = 0.f;
    unsigned ahead[2][steps];
    if constexpr (!keeps_words) fetch_pair(ahead, source, 0);
#pragma unroll
    for (int m = 0; m < pairs; m++) {
      const int j0 = 2 * m, j1 = 2 * m + 1 < ITEMS ? 2 * m + 1 : 2 * m;
      unsigned pair[2][steps];
#pragma unroll
      for (int s = 0; s < steps; s++) {
        pair[0][s] = keeps_words ? words[keeps_words ? j0 : 0][s] : ahead[0][s];
        pair[1][s] = keeps_words ? words[keeps_words ? j1 : 0][s] : ahead[1][s];
      }
      if constexpr (!keeps_words) {
        if (m + 1 < pairs) fetch_pair(ahead, source, m + 1);
      }
      int at[2];
#pragma unroll
      for (int j = j0; j <= j1; j++) at[j - j0] = inside(j, inner.next(), (int)addresses.x + 4 * n.q);
      if (j1 == j0) at[1] = at[0];
      float u[4], v[4], b[4], c[4], z[4];
      multiply_16x8x8(u, load_shared(at[0]), load_shared(at[1]), numbers.same, 0.f, 0.f);
      multiply_16x8x8(v, load_shared(at[0] + addresses.to_dy), load_shared(at[1] + addresses.to_dy), numbers.same, 0.f, 0.f);
      multiply_16x8x8(b, pair[0][gate_step()], pair[1][gate_step()], numbers.b, 0.f, 0.f);
      multiply_16x8x8(c, pair[0][gate_step()], pair[1][gate_step()], numbers.c, 0.f, 0.f);
#pragma unroll
      for (int s = 0; s < steps; s++) {
        if (s == 0) multiply_16x8x8(z, pair[0][s], pair[1][s], high[s], bias);
        else multiply_16x8x8(z, pair[0][s], pair[1][s], high[s], z);
        multiply_16x8x8(z, pair[0][s], pair[1][s], low[s], z);
      }
#pragma unroll
      for (int j = j0; j <= j1; j++) {
        const int of = 2 * (j - j0);
        float s[2] = {softplus(z[of]), softplus(z[of + 1])};
        if (WRAP && !line.has(j)) s[0] = s[1] = 0.f;
        const float gate = WRAP && !line.has(j) ? 0.f : c[of];
        // What follows sees the step as it is kept.
        step_pairs[j] = pack(s[0], s[1]);
        const float2 kept_step = unpack(step_pairs[j]);
        const float ss[2] = {kept_step.x, kept_step.y};
        float left[2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
          const float exponent = a[i] * ss[i], decay = fast_exp2(exponent);
          exponents[i] += exponent;
          left[i] = decay * all.state[i];
          all.state[i] = fmaf(ss[i], b[of] * u[of + i], left[i]);
          all.kept[i] *= decay;
          all.gradient[i] = fmaf(all.kept[i], gate * v[of + i], all.gradient[i]);
        }
        state_pairs[j] = pack(left[0], left[1]);
      }
    }
    if (!WRAP && !line.has(0)) all.gradient[0] = all.gradient[1] = 0.f;
    return all;
  }

  // Writes the lane's share of the rows' gradient and the warp's sums over positions.
  DEVICE void differentiate(
      const Parameters &parameters, const Maps &maps, Ends ends, uint2 *to_rows, Sums &totals) {
    const Numbers numbers(n);
    const Addresses addresses(maps);
    Walk inner = this->inner(addresses), source = this->source();
    inner.pass();
    if constexpr (!keeps_words) source.pass();
    unsigned weights[steps];  // column c of product s is element 2 word_of(c / 2, s) + c % 2 of the row
#pragma unroll
    for (int s = 0; s < steps; s++) {
      const int r = 2 * word_of(n.group >> 1, s) + (n.group & 1);
      weights[s] = 0;
      const float(*const rows)[RANK] = &parameters.weight[k.index()][2 * n.q];
      if (r < RANK) weights[s] = pack(rows[0][r], rows[1][r]);
    }
    const unsigned b_column = n.group == 2 * gate_lane() ? ones : 0;
    const unsigned c_column = n.group == 2 * gate_lane() + 1 ? ones : 0;
    float weight_sums[(steps + 1) / 2][4] = {};
    float bias_sum[2] = {0.f, 0.f}, a_sum[2] = {0.f, 0.f};
    unsigned ahead[2][steps];
    if constexpr (!keeps_words) fetch_pair_back(ahead, source, pairs - 1);
    int places[2];
    unsigned inputs[2], outputs[2];
    const auto load_pair = [&](int m) {
      const int j0 = 2 * m, j1 = 2 * m + 1 < ITEMS ? 2 * m + 1 : 2 * m;
#pragma unroll
      for (int j = j1; j >= j0; j--) {
        places[j - j0] = inside(j, inner.previous(), (int)addresses.x + 4 * n.q);
        inputs[j - j0] = load_shared(places[j - j0]);
        outputs[j - j0] = load_shared(places[j - j0] + addresses.to_dy);
      }
      if (j1 == j0) inputs[1] = inputs[0], outputs[1] = outputs[0];
    };
    // A pair's maps come before the pair behind it writes dx: the compiler cannot know that they differ.
    if (early) load_pair(pairs - 1);
#pragma unroll
    for (int m = pairs - 1; m >= 0; m--) {
      const int j0 = 2 * m, j1 = 2 * m + 1 < ITEMS ? 2 * m + 1 : 2 * m;
      unsigned pair[2][steps], dz[2] = {0, 0}, db[2] = {0, 0}, dc[2] = {0, 0}, input[2], output[2];
#pragma unroll
      for (int s = 0; s < steps; s++) {
        pair[0][s] = keeps_words ? words[keeps_words ? j0 : 0][s] : ahead[0][s];
        pair[1][s] = keeps_words ? j1 > j0 ? words[keeps_words ? j1 : 0][s] : 0 : ahead[1][s];
      }
      if constexpr (!keeps_words) {
        if (m > 0) fetch_pair_back(ahead, source, m - 1);
      }
      if (!early) load_pair(m);
      const int at[2] = {places[0], places[1]};
      input[0] = inputs[0], input[1] = inputs[1], output[0] = outputs[0], output[1] = outputs[1];
      float2 sums[2];
      if (early) {
#pragma unroll
        for (int j = j1; j >= j0; j--)
          sums[j - j0] = load_shared_2(2 * at[j - j0] + addresses.to_dx, line.has(j));
        if (m > 0) load_pair(m - 1);
      }
      float u[4], v[4], b[4], c[4];
      multiply_16x8x8(u, input[0], input[1], numbers.same, 0.f, 0.f);
      multiply_16x8x8(v, output[0], output[1], numbers.same, 0.f, 0.f);
      multiply_16x8x8(b, pair[0][gate_step()], pair[1][gate_step()], numbers.b, 0.f, 0.f);
      multiply_16x8x8(c, pair[0][gate_step()], pair[1][gate_step()], numbers.c, 0.f, 0.f);
#pragma unroll
      for (int j = j1; j >= j0; j--) {
        const int of = 2 * (j - j0);
        const float2 s = unpack(step_pairs[j]), q = unpack(state_pairs[j]);
        const float gate = WRAP && !line.has(j) ? 0.f : c[of];
        const float ss[2] = {s.x, s.y}, locals[2] = {q.x, q.y};
        float raw[2], scaled[2], state[2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
          const float exponent = a[i] * ss[i];
          const float left = fmaf(fast_exp2(exponents[i]), ends.state[i], locals[i]);
          exponents[i] -= exponent;
          const float bu = b[of] * u[of + i];
          state[i] = fmaf(ss[i], bu, left);
          const float gradient = fmaf(gate, v[of + i], ends.gradient[i]);
          ends.gradient[i] = fast_exp2(exponent) * gradient;
          scaled[i] = gradient * ss[i];
          // The slope of softplus is 1 - 2^-step.
          raw[i] = fmaf(-fast_exp2(-ss[i]), gradient, gradient) * fmaf(a[i] * ln_2, left, bu);
          a_sum[i] = fmaf(scaled[i], left, a_sum[i]);
          if (steps % 2 == 0) bias_sum[i] += raw[i];
        }
        dz[j - j0] = pack(raw[0], raw[1]);
        db[j - j0] = multiply_pairs(pack(scaled[0], scaled[1]), input[j - j0]);
        dc[j - j0] = multiply_pairs(pack(state[0], state[1]), output[j - j0]);
        if (line.has(j)) {
          const unsigned to = 2 * at[j - j0] + addresses.to_dx;
          const float2 sum = early ? sums[j - j0] : load_shared_2(to);
          store_shared_2(to, make_float2(fmaf(scaled[0], b[of], sum.x), fmaf(scaled[1], b[of], sum.y)));
        }
      }
      const unsigned turned0 = transpose_8x8(dz[0]), turned1 = transpose_8x8(dz[1]);
#pragma unroll
      for (int s = 0; s < steps; s++) {
        float f[4] = {0.f, 0.f, 0.f, 0.f};
        multiply_16x8x8(f, dz[0], dz[1], weights[s]);
        if (s == gate_step()) multiply_16x8x16(f, db[0], db[1], dc[0], dc[1], b_column, c_column);
        to_rows[(m * steps + s) * 32] = make_uint2(pack(f[0], f[1]), pack(f[2], f[3]));
      }
#pragma unroll
      for (int s = 0; s < steps; s += 2) {
        const unsigned low0 = transpose_8x8(pair[0][s]), low1 = transpose_8x8(pair[1][s]);
        const unsigned high0 = s + 1 < steps ? transpose_8x8(pair[0][s + 1 < steps ? s + 1 : s]) : ones;
        const unsigned high1 = s + 1 < steps ? transpose_8x8(pair[1][s + 1 < steps ? s + 1 : s]) : ones;
        multiply_16x8x16(weight_sums[s / 2], low0, high0, low1, high1, turned0, turned1);
      }
    }
#pragma unroll
    for (int s = 0; s < steps; s++) {
      const float *f = &weight_sums[s / 2][s % 2 * 2];
      *(float2 *)&totals[8 * s + n.group][2 * n.q] = make_float2(f[0], f[1]);
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
      if constexpr (steps % 2 == 1) bias_sum[i] = weight_sums[steps / 2][2 + i];
#pragma unroll
      for (int b = 4; b < 32; b *= 2) {
        if (steps % 2 == 0) bias_sum[i] += __shfl_xor_sync(~0u, bias_sum[i], b);
        a_sum[i] += __shfl_xor_sync(~0u, a_sum[i], b);
      }
      if (n.group == 0) {
        totals[8 * steps][2 * n.q + i] = bias_sum[i];
        totals[8 * steps + 1][2 * n.q + i] = a_sum[i];
      }
    }
  }
};

// A place in the plane for each pixel i.
DEVICE int pixel(const Arguments &g, const Plane &p, int i) {
  return (quotient(i, p.per_width) * (g.pitch - p.width) + i) * 16;
}

DEVICE void load_maps(const Arguments &g, int image, int channel, int thread, const Maps &maps) {
  const Plane p(g);
  const element *from = g.x + image * g.x_image + channel, *dy_from = g.dy + image * g.dy_image + channel;
  for (int i = thread; i < p.length; i += WARPS * 32) {
    const int to = pixel(g, p, i);
    copy_async_16(maps.x + to, from + i * g.x_pixel);
    copy_async_16(maps.dy + to, dy_from + i * g.dy_pixel);
    ((float4 *)(maps.dx + 2 * to))[0] = ((float4 *)(maps.dx + 2 * to))[1] = make_float4(0.f, 0.f, 0.f, 0.f);
  }
}

// Writes dx, and each warp's sums of D's gradient in its first row.
DEVICE void finish_tile(
    const Arguments &g, int image, int channel, int thread, const Maps &maps, const Parameters &parameters,
    Sums *totals) {
  const Plane p(g);
  float skip[8], sums[8] = {};
#pragma unroll
  for (int c = 0; c < 8; c++) {
    skip[c] = 0.f;
#pragma unroll
    for (int k = 0; k < 4; k++) skip[c] += parameters.d[k][c];
  }
  element *const to = g.dx + image * g.dx_image + channel;
  for (int i = thread; i < p.length; i += WARPS * 32) {
    const int at = pixel(g, p, i);
    const uint4 x = *(const uint4 *)(maps.x + at), dy = *(const uint4 *)(maps.dy + at);
    const float4 low = ((const float4 *)(maps.dx + 2 * at))[0], high = ((const float4 *)(maps.dx + 2 * at))[1];
    const unsigned xs[4] = {x.x, x.y, x.z, x.w}, dys[4] = {dy.x, dy.y, dy.z, dy.w};
    const float sum[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
    unsigned out[4];
#pragma unroll
    for (int c = 0; c < 4; c++) {
      const float2 u = unpack(xs[c]), v = unpack(dys[c]);
      out[c] = pack(fmaf(ln_2, sum[2 * c], skip[2 * c] * v.x), fmaf(ln_2, sum[2 * c + 1], skip[2 * c + 1] * v.y));
      sums[2 * c] = fmaf(u.x, v.x, sums[2 * c]);
      sums[2 * c + 1] = fmaf(u.y, v.y, sums[2 * c + 1]);
    }
    *(uint4 *)(to + i * g.dx_pixel) = make_uint4(out[0], out[1], out[2], out[3]);
  }
#pragma unroll
  for (int c = 0; c < 8; c++) {
#pragma unroll
    for (int b = 1; b < 32; b *= 2) sums[c] += __shfl_xor_sync(~0u, sums[c], b);
    if (thread % 32 == 0) totals[thread / 32][0][c] = sums[c];
  }
}

// Adds up what the block's warps summed over positions.
DEVICE void write_totals(const Sums *sums, int count, float *to) {
  for (int i = (int)threadIdx.x; i < count; i += RINGS * WARPS * 32) {
    float sum = 0.f;
#pragma unroll
    for (int w = 0; w < RINGS * WARPS; w++) sum += (&sums[w][0][0])[i];
    to[i] = sum;
  }
}

constexpr int tile_fragments = 4 * WARPS * pairs * steps * 32;

KERNEL __launch_bounds__(RINGS * WARPS * 32, BLOCKS) ss2d_backward(Arguments g) {
  SHARED_MEMORY(char, memory);
  constexpr int warps = RINGS * WARPS;
  const int ring = RINGS > 1 ? (int)threadIdx.x / (WARPS * 32) : 0, plane = g.height * g.pitch * 16;
  Parameters &parameters = *(Parameters *)memory;
  Summary *const summaries = (Summary *)(&parameters + 1);
  Sums *const sums = (Sums *)(summaries + 2 * warps);
  char *const own = (char *)(sums + 2 * warps) + ring * (4 * plane);
  const Maps maps{own + 2 * plane, own + 3 * plane, own};

  const int columns = g.channels / 8, column = (int)blockIdx.x;
  const int image = g.first + (int)blockIdx.y * RINGS + ring;
  const bool active = RINGS == 1 || image < g.end;
  float *const totals =
      g.totals + ((long long)(g.first / RINGS + (int)blockIdx.y) * columns + column) * tile_totals;
  load_parameters(g, column * 8, (int)threadIdx.x, warps * 32, parameters);
  if (active) load_maps(g, image, column * 8, (int)threadIdx.x % (WARPS * 32), maps);
  copy_async_commit();
  copy_async_wait<0>();
  block_barrier();
  if (!active) {
    for (int i = (int)threadIdx.x % (WARPS * 32); i < WARPS * sum_rows * 8; i += WARPS * 32)
      (&sums[ring * WARPS][0][0])[i] = (&sums[warps + ring * WARPS][0][0])[i] = 0.f;
  }
#pragma unroll 1
  for (int turn = 0; turn < 4; turn++) {
    // Summaries and sums have two copies, so that one barrier a turn keeps readers and writers apart. What a thread
    // knows of its place it computes anew each turn: registers are for the items.
    Summary *const own_summaries = summaries + turn % 2 * warps + ring * WARPS;
    const Lane n(unknown((int)threadIdx.x) % (WARPS * 32), g.order);
    Turn own_turn(g, n, image, unknown(turn));
    float *const before = totals + (turn - 1) * sum_rows * 8;
    if (!active) {
      block_barrier();
      if (turn > 0) write_totals(sums + (turn - 1) % 2 * warps, sum_rows * 8, before);
      continue;
    }
    const Neighbours neighbours(own_turn.summarize(parameters, maps), n, own_summaries[n.warp]);
    block_barrier();
    if (turn > 0) write_totals(sums + (turn - 1) % 2 * warps, sum_rows * 8, before);
    uint2 *const rows = g.rows + ((long long)(image - g.first) * columns + column) * tile_fragments +
                        (turn * WARPS + n.warp) * (pairs * steps * 32) + n.number;
    own_turn.differentiate(
        parameters, maps, neighbours.ends(n, own_summaries), rows, sums[turn % 2 * warps + ring * WARPS + n.warp]);
  }
  block_barrier();
  write_totals(sums + warps, sum_rows * 8, totals + 3 * sum_rows * 8);
  if (active) {
    const int thread = (int)threadIdx.x % (WARPS * 32);
    finish_tile(g, image, column * 8, thread, maps, parameters, sums + ring * WARPS);
  }
  block_barrier();
  write_totals(sums, 8, totals + 4 * sum_rows * 8);
}

// Adds up what an image's tiles found for the projection's rows, in order; writes the rows with their filling.
KERNEL __launch_bounds__(256) ss2d_backward_rows(Arguments g) {
  const int index = (int)blockIdx.x * 256 + (int)threadIdx.x, image = g.first + (int)blockIdx.y;
  if (index >= tile_fragments) return;
  const int columns = g.channels / 8;
  const uint2 *from = g.rows + (long long)blockIdx.y * columns * tile_fragments + index;
  float2 sums[2] = {make_float2(0.f, 0.f), make_float2(0.f, 0.f)};
#pragma unroll 8
  for (int column = 0; column < columns; column++) {
    const uint2 v = *from;
    const float2 low = unpack(v.x), high = unpack(v.y);
    sums[0].x += low.x; sums[0].y += low.y;
    sums[1].x += high.x; sums[1].y += high.y;
    from += tile_fragments;
  }
  const int lane = index % 32, q = lane & 3;
  int rest = index / 32;
  const int s = rest % steps;
  rest /= steps;
  const int m = rest % pairs;
  rest /= pairs;
  const int warp = rest % WARPS, turn = rest / WARPS;
  const Plane p(g);
  const Direction k(turn);
  const Line line(p, k, warp, line_of(lane >> 2, g.order));
  Walk walk(k, line, p.width, 1, 0);
  int at[2] = {0, 0};
  for (int j = 0; j <= 2 * m + 1; j++) at[j & 1] = walk.next();
  const int word = word_of(q, s);
  element_pair *const rows =
      (element_pair *)g.drows + (long long)image * p.length * (2 * row_size) + k.index() * (row_size / 2) + word;
  const float scale = word < RANK / 2 ? 1.f : word == gate_word ? ln_2 : 0.f;
  for (int i = 0; i < 2; i++) {
    const bool has = 2 * m + i < ITEMS && line.has(2 * m + i);
    if (has) rows[(long long)at[i] * (2 * row_size)] = pack(sums[i].x * scale, sums[i].y * scale);
  }
}

// Adds up the groups' totals, in order, and lays them out as the parameters are.
KERNEL __launch_bounds__(256) ss2d_backward_parameters(Arguments g, int groups) {
  const long long index = (long long)blockIdx.x * 256 + threadIdx.x, size = (long long)(g.channels / 8) * tile_totals;
  if (index >= size) return;
  float sum = 0.f;
  for (int group = 0; group < groups; group++) sum += g.totals[group * size + index];
  const int within = (int)(index % tile_totals), turn = within / (sum_rows * 8), row = within / 8 - turn * sum_rows;
  const long long channel = index / tile_totals * 8 + within % 8, vector = 4ll * g.channels;
  if (turn == 4) {
    for (int k = 0; k < 4; k++) g.parameters[vector * (RANK + 2) + k * g.channels + channel] = sum;
    return;
  }
  const long long at = Direction(turn).index() * (long long)g.channels + channel;
  if (row < 8 * steps) {
    const int r = 2 * word_of(row % 8 / 2, row / 8) + row % 2;
    if (r < RANK) g.parameters[at * RANK + r] = sum;
  } else {
    g.parameters[vector * (RANK + row - 8 * steps) + at] = row > 8 * steps ? sum * (ln_2 * ln_2) : sum;
  }
}
