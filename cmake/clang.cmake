# Toolchain file of the clang preset: the oldest Clang that vq supports, else a newer one.
find_program(VQ_CLANGXX
  NAMES clang++-16 clang++-17 clang++-18 clang++-19 clang++-20 clang++-21 clang++-22 clang++
  REQUIRED)
set(CMAKE_CXX_COMPILER ${VQ_CLANGXX})
