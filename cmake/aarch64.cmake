# Toolchain file of the aarch64 preset: Debian's cross compiler, and an emulator to run the tests.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
find_program(VQ_AARCH64_CXX NAMES aarch64-linux-gnu-g++ REQUIRED)
find_program(VQ_AARCH64_EMULATOR NAMES qemu-aarch64 qemu-aarch64-static REQUIRED)
# The header-only libraries are those of the machine that compiles.
set(CMAKE_PREFIX_PATH /usr/lib/${CMAKE_HOST_SYSTEM_PROCESSOR}-linux-gnu/cmake)
set(CMAKE_CXX_COMPILER ${VQ_AARCH64_CXX})
set(CMAKE_CROSSCOMPILING_EMULATOR ${VQ_AARCH64_EMULATOR} -cpu max -L /usr/aarch64-linux-gnu)
