# Debian's xsimd 8.1 says that it links to the target xtl, which its package neither finds nor needs.
function(vq_without_xtl)
  if(NOT TARGET xtl)
    get_target_property(libraries xsimd INTERFACE_LINK_LIBRARIES)
    list(REMOVE_ITEM libraries xtl libraries-NOTFOUND)
    set_target_properties(xsimd PROPERTIES INTERFACE_LINK_LIBRARIES "${libraries}")
  endif()
endfunction()
