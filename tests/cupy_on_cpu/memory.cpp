// The CUDA runtime: the device's memory is the host's, and all work is done when it is asked for.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sstream>

#include "counts.h"

// ── Counting ────────────────────────────────────────────────────────────────────────────────────
static std::mutex lock;
static std::map<std::string, long> counted;

void count(const std::string& what) {
  std::lock_guard<std::mutex> guard(lock);
  counted[what]++;
}

static const size_t HEAP = size_t(8) << 30;  // as much memory as this GPU claims to have
static std::map<char*, size_t> blocks;       // what is allocated

extern "C" {

// Write what was counted, a line each, as far as it fits; return the length of it all.
size_t cuda_on_cpu_counts(char* text, size_t size) {
  std::lock_guard<std::mutex> guard(lock);
  std::ostringstream lines;
  for (const auto& [what, times] : counted) lines << times << ' ' << what << '\n';
  const std::string all = lines.str();
  if (size) strncpy(text, all.c_str(), size);
  return all.size() + 1;
}

// ── The device ──────────────────────────────────────────────────────────────────────────────────
const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaErrorUnknown";
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "not on this GPU, which is a CPU";
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* number) { return *number = 1, cudaSuccess; }
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
    case cudaDevAttrMultiProcessorCount: *value = 132; break;
    default: *value = 0;
  }
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  strcpy(properties->name, "g++ on the host");
  properties->major = 9;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->multiProcessorCount = 132;
  properties->sharedMemPerBlock = 48 << 10;
  properties->totalGlobalMem = HEAP;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() { return count("wait"), cudaSuccess; }

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────
cudaError_t cudaMemGetInfo(size_t* unused, size_t* all) { return *unused = *all = HEAP, cudaSuccess; }
cudaError_t cudaMalloc(void** memory, size_t size) {
  if (size > HEAP) return cudaErrorMemoryAllocation;
  const size_t whole = (size + 511) & ~size_t(511);
  *memory = aligned_alloc(512, whole);
  if (!*memory) return cudaErrorMemoryAllocation;
  memset(*memory, 0xAB, whole);  // what reads memory that nobody wrote gets no zeros
  std::lock_guard<std::mutex> guard(lock);
  blocks[static_cast<char*>(*memory)] = whole;
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  std::lock_guard<std::mutex> guard(lock);
  blocks.erase(static_cast<char*>(memory));
  free(memory);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** memory, size_t size, unsigned) {
  return (*memory = malloc(size)) ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* memory) { return free(memory), cudaSuccess; }
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  std::lock_guard<std::mutex> guard(lock);
  char* address = static_cast<char*>(const_cast<void*>(memory));
  auto block = blocks.upper_bound(address);
  const bool ours = block != blocks.begin() && (--block, address < block->first + block->second);
  *attributes = {};
  attributes->type = ours ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  attributes->device = ours ? 0 : cudaInvalidDeviceId;
  attributes->devicePointer = ours ? address : nullptr;
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t) {
  count(kind == cudaMemcpyHostToDevice   ? "copy to the device"
        : kind == cudaMemcpyDeviceToHost ? "copy to the host"
                                         : "copy on the device");
  memmove(to, from, size);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  count("wait");
  return cudaMemcpyAsync(to, from, size, kind, nullptr);
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t size, cudaStream_t) {
  return cudaMemcpyAsync(to, from, size, cudaMemcpyDeviceToDevice, nullptr);
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t size, cudaStream_t) {
  count("memset");
  memset(memory, value, size);
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int value, size_t size) {
  return cudaMemsetAsync(memory, value, size, nullptr);
}

// ── Streams and events: nothing is ever under way ───────────────────────────────────────────────
static char something;  // streams and events are only told apart from none
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return *stream = reinterpret_cast<cudaStream_t>(&something), cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return count("wait"), cudaSuccess; }
cudaError_t cudaStreamQuery(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  return *status = cudaStreamCaptureStatusNone, cudaSuccess;
}
cudaError_t cudaStreamGetPriority(cudaStream_t, int* priority) { return *priority = 0, cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return *event = reinterpret_cast<cudaEvent_t>(&something), cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return count("wait"), cudaSuccess; }
cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  return *milliseconds = 1, cudaSuccess;
}
}
