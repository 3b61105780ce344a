// The version of this library, for the preprocessor and for the language.
//
// The package files read the three numbers from here. Before 1.0 a change of the minor number may
// break a caller; from 1.0 on only a change of the major number may (semantic versioning 2.0.0).
#ifndef VQ_VERSION_HPP
#define VQ_VERSION_HPP

#define VQ_VERSION_MAJOR 0
#define VQ_VERSION_MINOR 1
#define VQ_VERSION_PATCH 0

namespace vq::inline v1 {

struct version_number {
  int major = 0;
  int minor = 0;
  int patch = 0;
};

inline constexpr version_number library_version{VQ_VERSION_MAJOR, VQ_VERSION_MINOR,
                                                VQ_VERSION_PATCH};

}  // namespace vq::inline v1

#endif
