// What can be wrong with the data of a call, as a value.
//
// The library never throws, prints or aborts. A function that looks at data returns a status, or a
// result<T> that holds one; describe() turns it into a sentence for a person.
#ifndef VQ_CORE_STATUS_HPP
#define VQ_CORE_STATUS_HPP

#include <cstdint>

namespace vq::inline v1 {

enum class [[nodiscard]] status : std::uint8_t {
  ok,
  not_finite,            // NaN or infinity where a finite number is needed
  too_few_params,        // a span of parameters, scales or biases is shorter than required
  too_few_codes,         // a span of codes is shorter than required
  too_little_workspace,  // a workspace is shorter than the function that sizes it says
  size_mismatch,         // two operands do not have the shapes that the operation needs
  bad_argument,          // an option is outside its documented range
  no_data,               // a range is asked of an observer that has seen nothing
  not_foldable,          // the function would change if this were folded
  overflow,              // an integer result does not fit its type
  not_found,             // a file, tensor or entry does not exist
  io_error,              // the system could not read or write
  bad_format,            // a file does not follow its format
  type_mismatch,         // values are stored in another type than the one asked for
  misaligned,            // values do not lie at a multiple of their size: copy them
};

// One sentence, in English, without a full stop.
constexpr const char* describe(status s) noexcept {
  switch (s) {
    case status::ok:
      return "ok";
    case status::not_finite:
      return "the data contain NaN or infinity";
    case status::too_few_params:
      return "the span of parameters is shorter than required";
    case status::too_few_codes:
      return "the span of codes is shorter than required";
    case status::too_little_workspace:
      return "the workspace is smaller than required";
    case status::size_mismatch:
      return "the shapes of the operands do not fit together";
    case status::bad_argument:
      return "an option is outside its range";
    case status::no_data:
      return "no data have been observed yet";
    case status::not_foldable:
      return "folding would change what the network computes";
    case status::overflow:
      return "an integer result does not fit its type";
    case status::not_found:
      return "the thing asked for does not exist";
    case status::io_error:
      return "the system could not read or write the file";
    case status::bad_format:
      return "the file does not follow its format";
    case status::type_mismatch:
      return "the values are stored in another type than the one asked for";
    case status::misaligned:
      return "the values do not lie at a multiple of their size and must be copied";
  }
  return "unknown status";
}

}  // namespace vq::inline v1

#endif
