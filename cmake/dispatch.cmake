# vq::dispatch: the kernels of every instruction set in one library, chosen at run time.
#
# vq_add_dispatch(<target> [HEADERS <header>...] [FORMATS <quantizer>...] [OPERATIONS <type>...])
# Adds a static library with the wide kernels of formats or operations that vq::dispatch does not
# hold: your own policies, or other layouts.
#
#   vq_add_dispatch(my_kernels
#     HEADERS my/pow2_int8.hpp
#     FORMATS "vq::quantizer<my::pow2_int8>" "vq::quantizer<my::pow2_int8, vq::per_block<64>, my::packed>")
#   target_include_directories(my_kernels PRIVATE include)
#   target_link_libraries(app PRIVATE my_kernels)
#
# Formats that differ in their granularity only are one format: list them once. VQ_DISPATCH_ISAS leaves
# out instruction sets that nobody will run, which saves most of the time to compile.
include(${CMAKE_CURRENT_LIST_DIR}/instruction_sets.cmake)
set(VQ_DISPATCH_ISAS "" CACHE STRING
  "Instruction sets above the baseline that vq::dispatch holds (empty: all of ${vq_isas})")
set(vq_dispatched_isas ${vq_isas})
if(VQ_DISPATCH_ISAS)
  list(GET vq_isas 0 vq_baseline)
  foreach(tag IN LISTS VQ_DISPATCH_ISAS)
    if(NOT tag IN_LIST vq_isas)
      message(FATAL_ERROR "VQ_DISPATCH_ISAS: ${tag} is none of ${vq_isas}")
    endif()
  endforeach()
  foreach(tag IN LISTS vq_isas)  # keeps their order, the best last
    if(NOT tag STREQUAL vq_baseline AND NOT tag IN_LIST VQ_DISPATCH_ISAS)
      list(REMOVE_ITEM vq_dispatched_isas ${tag})
    endif()
  endforeach()
endif()
string(REPLACE ";" ", " vq_dispatched_archs "${vq_dispatched_isas}")
set(vq_dispatch_dir ${CMAKE_CURRENT_LIST_DIR}/dispatch)

function(vq_add_dispatch target)
  cmake_parse_arguments(arg "" "" "HEADERS;FORMATS;OPERATIONS" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "vq_add_dispatch(${target}): what are ${arg_UNPARSED_ARGUMENTS}? "
      "It takes HEADERS, FORMATS and OPERATIONS.")
  endif()
  if(NOT vq_isas)
    message(FATAL_ERROR "vq_add_dispatch(${target}): no instruction sets are known for "
      "${CMAKE_SYSTEM_PROCESSOR}. Use vq::simd::native or vq::scalar there.")
  endif()
  set(includes "")
  set(groups operations)
  set(operations "")
  foreach(header IN LISTS arg_HEADERS)
    string(APPEND includes "#include <${header}>\n")
  endforeach()
  foreach(format IN LISTS arg_FORMATS)
    string(APPEND operations "VQ_DISPATCH_FORMAT(${format})\n")
  endforeach()
  foreach(operation IN LISTS arg_OPERATIONS)
    string(APPEND operations "VQ_DISPATCH_OPERATION(${operation})\n")
  endforeach()
  _vq_add_dispatch(${target})
  if(NOT target STREQUAL "vq_dispatch")
    target_link_libraries(${target} PUBLIC vq::dispatch)
  endif()
endfunction()

# Writes and compiles the units for ${includes} and the operations in the variables that ${groups}
# names: for each of these and each instruction set one unit.
function(_vq_add_dispatch target)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${target})
  set(tag "")
  set(all_operations "")
  foreach(group IN LISTS groups)
    string(APPEND all_operations "${${group}}")
  endforeach()
  configure_file(${vq_dispatch_dir}/choice.cpp.in ${folder}/choice.cpp @ONLY)
  set(sources ${folder}/choice.cpp)
  foreach(group IN LISTS groups)
    set(operations "${${group}}")
    foreach(tag IN LISTS vq_dispatched_isas)
      set(unit ${folder}/${group}/${tag}.cpp)
      configure_file(${vq_dispatch_dir}/wide.cpp.in ${unit} @ONLY)
      list(APPEND sources ${unit})
      # Optimized in every build: without inlining, helpers would leave the units that compile them.
      set_source_files_properties(${unit} PROPERTIES COMPILE_OPTIONS "-O3;${vq_isa_flags_${tag}}")
    endforeach()
  endforeach()
  add_library(${target} STATIC EXCLUDE_FROM_ALL ${sources})
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${target} PRIVATE ${vq_dispatch_dir})
  target_link_libraries(${target} PUBLIC vq::vq PRIVATE vq::simd)
endfunction()

if(vq_isas AND NOT TARGET vq::dispatch)
  set(includes
    "#include <vq/calibrate/count_values.hpp>\n#include <vq/core/sums.hpp>\n#include <vq/nn.hpp>\n#include <vq/quant.hpp>\n")
  set(groups operations products_to_codes products_to_floats)
  foreach(group IN LISTS groups)
    set(${group} "#include \"${group}.inc\"\n")
  endforeach()
  set(isa_name "const char* vq::dispatched_isa() noexcept {
  return simd::name_of_chosen(simd::dispatched_archs{});
}")
  _vq_add_dispatch(vq_dispatch)
  unset(isa_name)
  add_library(vq::dispatch ALIAS vq_dispatch)
endif()
