// NVRTC: the compiler is g++, and what it makes of a kernel is a shared library.
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#ifndef FLAGS
#error "FLAGS: with which flags a kernel is compiled; DEVICE: the hash of device.h"
#endif

struct Program {
  std::string source, log, library;
  std::vector<std::string> templates;  // instances that were asked for by name
};

static std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A launch finds a kernel by its name: each gets a function that reads the arguments and calls it.
static std::string with_entries(const Program& program) {
  std::ostringstream all;
  const bool waits = std::regex_search(program.source, std::regex("__syncthreads|__shfl"));
  all << program.source << "\nextern \"C\" const bool waits = " << waits << ";\n";
  const auto entry = [&](const std::string& name, const std::string& kernel) {
    all << "extern \"C\" void run_" << name << "(void** a) { call(&" << kernel << ", a); }\n";
  };
  const std::regex kernel(R"(extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+))");
  for (std::sregex_iterator match(program.source.begin(), program.source.end(), kernel), end;
       match != end; ++match)
    entry((*match)[1], (*match)[1]);
  for (size_t i = 0; i < program.templates.size(); i++)
    entry("template" + std::to_string(i), program.templates[i]);
  return all.str();
}

extern "C" {
const char* nvrtcGetErrorString(int) { return "g++ refused the kernel"; }
int nvrtcVersion(int* major, int* minor) { return *major = 13, *minor = 0, 0; }
int nvrtcGetNumSupportedArchs(int* number) { return *number = 1, 0; }
int nvrtcGetSupportedArchs(int* architectures) { return *architectures = 90, 0; }
int nvrtcCreateProgram(Program** program, const char* source, const char*, int, const char**,
                       const char**) {
  return *program = new Program{source}, 0;
}
int nvrtcDestroyProgram(Program** program) { return delete *program, *program = nullptr, 0; }
int nvrtcAddNameExpression(Program* program, const char* name) {
  return program->templates.push_back(name), 0;
}
int nvrtcGetLoweredName(Program* program, const char* name, const char** lowered) {
  for (size_t i = 0; i < program->templates.size(); i++)
    if (program->templates[i] == name)
      return *lowered = strdup(("template" + std::to_string(i)).c_str()), 0;
  return 10;  // NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID
}

int nvrtcCompileProgram(Program* program, int number, const char** options) {
  char folder[] = "/tmp/cupy_on_cpu_XXXXXX";
  if (!mkdtemp(folder)) return 7;  // NVRTC_ERROR_INTERNAL_ERROR
  const std::string base = std::string(folder) + "/kernel";
  std::ofstream(base + ".cpp") << with_entries(*program);
  std::string command = "g++ " FLAGS;
  for (int i = 0; i < number; i++)  // -arch, -ftz and such mean nothing to g++
    if (!strncmp(options[i], "-I", 2) || !strncmp(options[i], "-D", 2))
      command += " '" + std::string(options[i]) + "'";
  command += " " + base + ".cpp -shared -o " + base + ".so 2> " + base + ".log";
  const bool refused = system(command.c_str());
  program->log = read(base + ".log");
  program->library = read(base + ".so");
  std::filesystem::remove_all(folder);
  return refused ? 6 : 0;  // NVRTC_ERROR_COMPILATION
}

// The image of a module is its length and then the shared library: see cuModuleLoadData.
int nvrtcGetCUBINSize(Program* program, size_t* size) {
  return *size = sizeof *size + program->library.size() + 1, 0;  // CuPy takes a 0 off the end
}
int nvrtcGetCUBIN(Program* program, char* image) {
  const size_t length = program->library.size();
  memcpy(image, &length, sizeof length);
  memcpy(image + sizeof length, program->library.data(), length);
  return 0;
}
// CuPy keeps images in a folder, under a key that the comments in an empty program's PTX are part of.
static const char PTX[] = "// " DEVICE;
int nvrtcGetPTXSize(Program*, size_t* size) { return *size = sizeof PTX, 0; }
int nvrtcGetPTX(Program*, char* text) { return strcpy(text, PTX), 0; }
int nvrtcGetProgramLogSize(Program* program, size_t* size) { return *size = program->log.size() + 1, 0; }
int nvrtcGetProgramLog(Program* program, char* text) { return strcpy(text, program->log.c_str()), 0; }
}
