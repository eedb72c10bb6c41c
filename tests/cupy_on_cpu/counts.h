// What was asked of the GPU, by name: "kernel cupy_add__float32…", "product gemm", "wait" …
#pragma once
#include <string>
void count(const std::string& what);
