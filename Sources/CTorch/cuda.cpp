// LibTorch's CUDA half, loaded only when a GPU is asked for, and the launching of our own kernels.
//
// Nothing here needs CUDA's headers: LibTorch's interfaces for any accelerator tell streams, events and memory. Its graphs
// have no such interface, so their few member functions are found by name in the very version that this build is pinned to.
#include "cuda.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <dlfcn.h>
#include <stdlib.h>

#include <map>
#include <mutex>

using namespace ctorch;

namespace {

// What stands in the way of GPUs; empty once they can be used.
std::string load_library() {
  const std::string torch = ct_library_path();
  const std::string folder = torch.substr(0, torch.rfind('/'));
  ccuda_set_library_folder(folder.c_str());
  if (ccuda_device_count() == 0) return ccuda_last_error();
  const std::string file = folder + "/libtorch_cuda.so";
  if (!dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
    const char *reason = dlerror();
    return "this LibTorch cannot use GPUs: " + std::string(reason ? reason : file + " was not found") +
           "; run the set-up with GANGLION_CUDA=1";
  }
  if (!at::hasCUDA()) return "LibTorch's CUDA library was loaded, but does not register itself";
  // Numbers are those of float32 unless less is asked for; LibTorch's own default for convolutions is TF32.
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
  return "";
}

const std::string &problem() {
  static const std::string sentence = load_library();
  return sentence;
}

c10::Device device_of(int32_t index) { return c10::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index)); }
c10::impl::VirtualGuardImpl guard_impl() { return c10::impl::VirtualGuardImpl(at::kCUDA); }

void check(int32_t status) { TORCH_CHECK(status == 0, ccuda_last_error()); }

void require_cuda() { TORCH_CHECK(problem().empty(), problem()); }

}  // namespace

namespace ctorch::cuda {

ccuda_kernel kernel(
    const at::Tensor &on, const char *program, const char *entry, const Macros &macros, int64_t shared_bytes) {
  const ccuda_kernel found =
      ccuda_find_kernel(on.device().index(), program, entry, macros.text().c_str(), shared_bytes);
  TORCH_CHECK(found, ccuda_last_error());
  return found;
}

void launch(
    const at::Tensor &on, ccuda_kernel function, Extent grid, Extent block, int64_t shared_bytes, void **arguments) {
  const auto impl = guard_impl();
  const c10::Stream stream = impl.getStream(on.device());
  const uint32_t blocks[3] = {grid.x, grid.y, grid.z}, threads[3] = {block.x, block.y, block.z};
  check(ccuda_launch(function, blocks, threads, shared_bytes, impl.getStreamNativeHandle(stream), arguments));
}

const ccuda_device &facts(const at::Tensor &on) {
  static std::mutex lock;
  static std::map<int, ccuda_device> known;
  const std::lock_guard<std::mutex> guard(lock);
  const int index = on.device().index();
  auto found = known.find(index);
  if (found == known.end()) {
    ccuda_device described;
    check(ccuda_describe(index, &described));
    found = known.emplace(index, described).first;
  }
  return found->second;
}

}  // namespace ctorch::cuda

namespace {

struct Event {
  c10::Event event{at::kCUDA, c10::EventFlag::BACKEND_DEFAULT};
};

// `at::cuda::CUDAGraph` by the names of its member functions, which are called as any function with the object first.
struct GraphFunctions {
  using pool = std::pair<unsigned long long, unsigned long long>;
  void (*create)(void *, bool) = nullptr;
  void (*destroy)(void *) = nullptr;
  void (*begin)(void *, pool, int) = nullptr;
  void (*end)(void *) = nullptr;
  void (*replay)(void *) = nullptr;
};

const GraphFunctions &graph_functions() {
  static const GraphFunctions functions = [] {
    GraphFunctions f;
    const auto bind = [](const char *name, auto &slot) {
      slot = reinterpret_cast<std::remove_reference_t<decltype(slot)>>(dlsym(RTLD_DEFAULT, name));
      TORCH_CHECK(slot, "this LibTorch has no ", name, ": graphs need version 2.11.0");
    };
    bind("_ZN2at4cuda9CUDAGraphC1Eb", f.create);
    bind("_ZN2at4cuda9CUDAGraphD1Ev", f.destroy);
    bind("_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode", f.begin);
    bind("_ZN2at4cuda9CUDAGraph11capture_endEv", f.end);
    bind("_ZN2at4cuda9CUDAGraph6replayEv", f.replay);
    return f;
  }();
  return functions;
}

// A stream of its own for capturing: the default stream cannot be captured.
struct Graph {
  alignas(64) char object[4096];  // the class itself takes less than 200 bytes
  c10::Stream stream, before;
  bool is_capturing = false;

  explicit Graph(c10::Device device)
      : stream(guard_impl().getStreamFromGlobalPool(device, false)), before(stream) {
    graph_functions().create(object, false);
  }
  ~Graph() { graph_functions().destroy(object); }
};

Graph *graph_of(ct_graph handle) { return reinterpret_cast<Graph *>(handle); }

}  // namespace

extern "C" {
int32_t ct_cuda_count(void) {
  return guard([&]() -> int32_t {
    if (!problem().empty()) {
      last_error() = problem();
      return 0;
    }
    return ccuda_device_count();
  }, 0);
}

int32_t ct_cuda_synchronize(int32_t index) {
  return guard_status([&] {
    require_cuda();
    guard_impl().synchronizeDevice(static_cast<c10::DeviceIndex>(index));
  });
}

int32_t ct_cuda_memory(int32_t index, ct_memory *out) {
  *out = {};
  return guard_status([&] {
    require_cuda();
    auto *allocator = c10::getDeviceAllocator(at::kCUDA);
    if (!allocator->initialized()) return;
    const auto stats = allocator->getDeviceStats(static_cast<c10::DeviceIndex>(index));
    constexpr auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    out->allocated = stats.allocated_bytes[all].current;
    out->peak_allocated = stats.allocated_bytes[all].peak;
    out->reserved = stats.reserved_bytes[all].current;
    out->peak_reserved = stats.reserved_bytes[all].peak;
  });
}
int32_t ct_cuda_reset_peak(int32_t index) {
  return guard_status([&] {
    require_cuda();
    auto *allocator = c10::getDeviceAllocator(at::kCUDA);
    if (allocator->initialized()) allocator->resetPeakStats(static_cast<c10::DeviceIndex>(index));
  });
}
int32_t ct_cuda_empty_cache(void) {
  return guard_status([&] {
    require_cuda();
    auto *allocator = c10::getDeviceAllocator(at::kCUDA);
    if (allocator->initialized()) allocator->emptyCache();
  });
}

bool ct_tf32(void) { return guard([&] { return at::globalContext().allowTF32CuBLAS(); }, false); }
void ct_set_tf32(bool value) {
  guard_status([&] {
    require_cuda();
    at::globalContext().setAllowTF32CuBLAS(value);
    at::globalContext().setAllowTF32CuDNN(value);
  });
}
void ct_set_convolution_search(bool value) {
  guard_status([&] { at::globalContext().setBenchmarkCuDNN(value); });
}

ct_event ct_event_create(void) {
  return guard([&]() -> ct_event {
    require_cuda();
    return reinterpret_cast<ct_event>(new Event());
  }, nullptr);
}
void ct_event_release(ct_event event) { delete reinterpret_cast<Event *>(event); }
int32_t ct_event_record(ct_event event, int32_t index) {
  return guard_status([&] {
    reinterpret_cast<Event *>(event)->event.record(guard_impl().getStream(device_of(index)));
  });
}
int32_t ct_event_milliseconds(ct_event start, ct_event end, double *out) {
  return guard_status([&] {
    const auto &last = reinterpret_cast<Event *>(end)->event;
    last.synchronize();
    *out = reinterpret_cast<Event *>(start)->event.elapsedTime(last);
  });
}

ct_graph ct_graph_create(int32_t index) {
  return guard([&]() -> ct_graph {
    require_cuda();
    return reinterpret_cast<ct_graph>(new Graph(device_of(index)));
  }, nullptr);
}
void ct_graph_release(ct_graph handle) {
  guard_status([&] { delete graph_of(handle); });
}
int32_t ct_graph_begin(ct_graph handle) {
  return guard_status([&] {
    Graph &graph = *graph_of(handle);
    const auto impl = guard_impl();
    impl.synchronizeDevice(graph.stream.device_index());
    graph.before = impl.exchangeStream(graph.stream);
    constexpr int thread_local_mode = 1;  // other threads, such as a loader's, may go on allocating
    try {
      graph_functions().begin(graph.object, {0, 0}, thread_local_mode);
      graph.is_capturing = true;
    } catch (...) {
      impl.exchangeStream(graph.before);
      throw;
    }
  });
}
int32_t ct_graph_end(ct_graph handle) {
  return guard([&] {
    Graph &graph = *graph_of(handle);
    if (!graph.is_capturing) return 0;
    graph.is_capturing = false;
    struct Restore {
      c10::Stream stream;
      ~Restore() { guard_impl().exchangeStream(stream); }
    } restore{graph.before};
    graph_functions().end(graph.object);
    return 0;
  }, -1);
}
int32_t ct_graph_replay(ct_graph handle) {
  return guard_status([&] { graph_functions().replay(graph_of(handle)->object); });
}
}
