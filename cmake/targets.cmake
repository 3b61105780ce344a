# The interface targets: vq::vq, and one per component (vq::simd, vq::eigen, vq::json).
#
# Every component's target is defined, so that an installed package always describes all of them.
# Its name with vq:: exists only where the component is asked for in VQ_COMPONENTS: linking one that
# is not is an error at configure time, not a missing header later.

add_library(vq INTERFACE)
add_library(vq::vq ALIAS vq)
target_compile_features(vq INTERFACE cxx_std_20)
# A fused multiply-add rounds once where the source rounds twice; codes would depend on the compiler.
target_compile_options(vq INTERFACE
  "$<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-ffp-contract=off>")

file(GLOB_RECURSE vq_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/vq/*.hpp)
if(CMAKE_VERSION VERSION_GREATER_EQUAL 3.23)
  target_sources(vq INTERFACE
    FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${vq_headers})
else()
  target_include_directories(vq INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:include>)
endif()

# vq_component(<name> <target of the third-party library where the installed package is used>)
function(vq_component name library)
  add_library(vq_${name} INTERFACE)
  set_target_properties(vq_${name} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(vq_${name} INTERFACE vq $<INSTALL_INTERFACE:${library}>)
  if(name IN_LIST VQ_COMPONENTS)
    vq_require(${name})
    target_link_libraries(vq_${name} INTERFACE $<BUILD_INTERFACE:vq_third_party_${name}>)
    add_library(vq::${name} ALIAS vq_${name})
  endif()
endfunction()

vq_component(simd xsimd)
vq_component(eigen Eigen3::Eigen)
vq_component(json nlohmann_json::nlohmann_json)
