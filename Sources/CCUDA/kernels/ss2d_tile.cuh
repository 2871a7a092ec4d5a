// What both kernels of the 2-D scan that have a tile of 8 channels share: how its rows lie on lanes, its parameters, its
// directions. RANK is theirs.

constexpr int row_size = (RANK + 2 + 7) / 8 * 8;  // elements of a pixel and direction: RANK of dt, B, C, filled up
constexpr int steps = row_size / 8;
constexpr float log2_e = 1.4426950408889634f, ln_2 = 0.6931471805599453f;

// Four lanes share a row of 4 steps words. Word `word_of(q, s)` is the operand of lane q in product s; the sum over words does
// not mind their order. A lane takes its words with the widest loads that fit, or, with STAGED, 16 bytes of a row
// a product, by tiles.
#ifdef STAGED
constexpr bool by_tiles = STAGED;
#else
constexpr bool by_tiles = false;
#endif
constexpr int fours = steps / 4 * 4;
DEVICE constexpr int word_of(int q, int s) {
  if (by_tiles) return s * 4 + q;
  return s < fours ? s / 4 * 16 + q * 4 + s % 4 : steps % 4 >= 2 && s < fours + 2 ? fours * 4 + q * 2 + s - fours
                                                                                 : (steps - 1) * 4 + q;
}
constexpr int gate_word = RANK / 2;  // B and C
DEVICE constexpr int gate_step() {
  int found = 0;
  for (int s = 0; s < steps; s++)
    for (int q = 0; q < 4; q++)
      if (word_of(q, s) == gate_word) found = s;
  return found;
}
DEVICE constexpr int gate_lane() {
  int found = 0;
  for (int s = 0; s < steps; s++)
    for (int q = 0; q < 4; q++)
      if (word_of(q, s) == gate_word) found = q;
  return found;
}

// What the four directions of a tile need besides pixels.
struct Parameters {
  float weight[4][8][RANK], bias[4][8], a[4][8], d[4][8];
};

// Starts to copy those of 8 channels by so many threads. The arguments have weight [4, D, R], bias, a and d [4, D].
template <class Arguments>
DEVICE void load_parameters(const Arguments &g, int channel, int thread, int threads, Parameters &parameters) {
  for (int i = thread; i < 8 * RANK; i += threads) {
    const int k = i / (2 * RANK), part = i % (2 * RANK) * 4;
    copy_async_16(&parameters.weight[k][0][0] + part, g.weight + ((long long)k * g.channels + channel) * RANK + part);
  }
  for (int i = thread; i < 24; i += threads) {
    const int k = i / 2 % 4, part = i % 2 * 4;
    const float *vector = i < 8 ? g.bias : i < 16 ? g.a : g.d;
    copy_async_16(&parameters.bias[0][0] + i * 4, vector + k * g.channels + channel + part);
  }
}

// Turns 0 to 3 are the directions 0, 2, 1, 3: a walk, then its reverse.
struct Direction {
  bool column, reverse;
  DEVICE explicit Direction(int turn) : column(turn & 2), reverse(turn & 1) {}
  DEVICE int index() const { return column + 2 * reverse; }
};

// n / divisor for n below 2^20: the quotient is at least half a divisor's share away from an integer.
DEVICE int quotient(int n, float reciprocal) { return (int)(((float)n + 0.5f) * reciprocal); }
