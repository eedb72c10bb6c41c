// The CUDA driver: a module is a shared library, and a launch is a loop over blocks and threads.
#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <string>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

#include "counts.h"

extern "C" {
struct Index { unsigned x, y, z; } threadIdx, blockIdx, blockDim, gridDim;
}

struct Kernel {
  std::string name;
  void (*run)(void** arguments);
  bool waits;  // its threads wait for each other
};

// ── The threads of a block take turns ───────────────────────────────────────────────────────────
// Each has a stack of its own, and runs until it is done or waits for the others. The first turn of
// a stack needs setcontext; from then on, longjmp goes there and back without asking the system.
enum State { READY, AT_WARP, AT_BLOCK, DONE };
struct Fiber {
  ucontext_t start;
  jmp_buf place;
  bool begun = false;
  State state = READY;
};
static std::vector<Fiber*> fibers;
static jmp_buf scheduler;
static unsigned current;
static Kernel* kernel;
static void** arguments;

static void stop(State state) {
  fibers[current]->state = state;
  if (!_setjmp(fibers[current]->place)) _longjmp(scheduler, 1);
}
extern "C" {
unsigned long long exchanged[1024];  // a number of each thread, for __shfl_sync
void __syncthreads() { stop(AT_BLOCK); }
void __syncwarp(unsigned) { stop(AT_WARP); }
unsigned thread_in_block() { return current; }
}

static void live() {  // one life for many blocks
  for (;;) {
    kernel->run(arguments);
    stop(DONE);
  }
}

static void set_thread(unsigned number) {
  threadIdx = {number % blockDim.x, number / blockDim.x % blockDim.y,
               number / blockDim.x / blockDim.y};
}

static void run_waiting_block(unsigned threads) {
  while (fibers.size() < threads) {
    const size_t STACK = 64 << 10;
    auto* fiber = new Fiber;
    getcontext(&fiber->start);
    fiber->start.uc_stack.ss_sp = malloc(STACK);
    fiber->start.uc_stack.ss_size = STACK;
    makecontext(&fiber->start, live, 0);
    fibers.push_back(fiber);
  }
  const auto release = [threads](State state) {
    bool any = false;
    for (unsigned number = 0; number < threads; number++)
      if (fibers[number]->state == state) fibers[number]->state = READY, any = true;
    return any;
  };
  for (unsigned number = 0; number < threads; number++) fibers[number]->state = READY;
  // Each runs until it waits. Warps go on first: those of one may meet more often than the block.
  do {
    for (current = 0; current < threads; current++) {
      Fiber* fiber = fibers[current];
      if (fiber->state != READY) continue;
      set_thread(current);
      if (_setjmp(scheduler)) continue;
      if (fiber->begun) _longjmp(fiber->place, 1);
      fiber->begun = true;
      setcontext(&fiber->start);
    }
  } while (release(AT_WARP) || release(AT_BLOCK));
}

static void run_block() {
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  if (kernel->waits) return run_waiting_block(threads);
  for (unsigned number = 0; number < threads; number++) {
    set_thread(number);
    kernel->run(arguments);
  }
}

// ── The driver's functions ──────────────────────────────────────────────────────────────────────
extern "C" {
int cuGetErrorName(int, const char** name) { return *name = "CUDA_ERROR_UNKNOWN", 0; }
int cuGetErrorString(int, const char** text) { return *text = "not on this GPU, which is a CPU", 0; }
int cuCtxGetCurrent(void** context) { return *context = &gridDim, 0; }
int cuCtxSetCurrent(void*) { return 0; }
int cuCtxGetDevice(int* device) { return *device = 0, 0; }
int cuStreamGetCtx(void*, void** context) { return cuCtxGetCurrent(context); }

int cuModuleLoadData(void** module, const void* image) {  // its length, and then a shared library
  size_t length;
  memcpy(&length, image, sizeof length);
  char path[] = "/tmp/cupy_on_cpu_XXXXXX";
  const int file = mkstemp(path);
  const auto written = write(file, static_cast<const char*>(image) + sizeof length, length);
  close(file);
  *module = written == ssize_t(length) ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!*module) fprintf(stderr, "CuPy on the CPU cannot load a kernel: %s\n", dlerror());
  unlink(path);
  return *module ? 0 : 200;  // CUDA_ERROR_INVALID_IMAGE
}
int cuModuleUnload(void*) { return 0; }  // a kernel may still be held
int cuModuleGetFunction(void** function, void* module, const char* name) {
  void* run = dlsym(module, (std::string("run_") + name).c_str());
  void* waits = dlsym(module, "waits");
  if (!run || !waits) return 500;  // CUDA_ERROR_NOT_FOUND
  *function = new Kernel{name, reinterpret_cast<void (*)(void**)>(run), *static_cast<bool*>(waits)};
  return 0;
}
int cuFuncGetAttribute(int* value, int, void*) { return *value = 1024, 0; }
int cuFuncSetAttribute(void*, int, int) { return 0; }
int cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned x,
                   unsigned y, unsigned z, unsigned, void*, void** parameters, void**) {
  static std::mutex one_at_a_time;
  std::lock_guard<std::mutex> guard(one_at_a_time);
  kernel = static_cast<Kernel*>(function);
  arguments = parameters;
  gridDim = {grid_x, grid_y, grid_z};
  blockDim = {x, y, z};
  count("kernel " + kernel->name);
  for (blockIdx.z = 0; blockIdx.z < grid_z; blockIdx.z++)
    for (blockIdx.y = 0; blockIdx.y < grid_y; blockIdx.y++)
      for (blockIdx.x = 0; blockIdx.x < grid_x; blockIdx.x++) run_block();
  return 0;
}
}
