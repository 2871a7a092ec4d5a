#pragma once

namespace CSCAN_VARIANT {

// Memory for one task or one call, aligned to a cache line; empty if there was not enough.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t count) {
    const std::size_t bytes = (std::size_t(count) * sizeof(T) + 63) / 64 * 64;
    data_ = static_cast<T *>(std::aligned_alloc(64, bytes ? bytes : 64));
  }
  ~Scratch() { std::free(data_); }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;

  explicit operator bool() const { return data_ != nullptr; }
  T *get() const { return data_; }
  T &operator[](int64_t i) const { return data_[i]; }

 private:
  T *data_;
};

// The first failure among concurrent tasks.
class Status {
 public:
  void out_of_memory() { value_.store(CSCAN_OUT_OF_MEMORY, std::memory_order_relaxed); }
  int32_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int32_t> value_{CSCAN_OK};
};

// Runs body(i) for every i in [0, count).
template <class Body>
void for_ranges(cscan_parallel_fn parallel, int64_t count, Body body) {
  if (count == 0) return;
  if (!parallel) {
    body(int64_t(0), count);
    return;
  }
  parallel(
      count, [](void *context, int64_t begin, int64_t end) { (*static_cast<Body *>(context))(begin, end); },
      &body);
}

// A task's share of a sum must be the same for any number of threads: the split depends on the shape alone.
// Returns into how many parts the blocks of one image are split, so that there are about 32 tasks at least.
CSCAN_INLINE int64_t parts_of(int64_t blocks, int64_t images) {
  const int64_t wanted = images > 0 ? (32 + images - 1) / images : 1;
  return wanted < blocks ? wanted : blocks;
}

}  // namespace CSCAN_VARIANT
