// Counts what happened to golden vectors, and prints it when the program ends.
#ifndef VQ_TESTS_GOLDEN_TALLY_HPP
#define VQ_TESTS_GOLDEN_TALLY_HPP

#include <cstddef>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace golden {

// Why a case is not run: the only answers there are.
enum class reason {
  recorded_only,          // the index says that the result must not be asserted
  platform_dependent,     // the other library's result depends on how it was built
  upstream_defect,        // the other library is wrong, by its own documentation
  operation_not_offered,  // the operator is outside what this library does
  option_not_offered,     // the operator is offered, but not with this option
};

inline const char* describe(reason why) {
  switch (why) {
    case reason::recorded_only:
      return "recorded, not to be asserted";
    case reason::platform_dependent:
      return "the result is platform dependent";
    case reason::upstream_defect:
      return "a known defect of the other library";
    case reason::operation_not_offered:
      return "the operation is not offered";
    case reason::option_not_offered:
      return "the option is not offered";
  }
  return "unknown";
}

// What happened to the cases of one family in this program; printed when it ends.
class tally {
 public:
  tally(std::string family, std::size_t cases, std::size_t outputs)
      : family_(std::move(family)), cases_(cases), outputs_(outputs) {}

  void record(const std::string& name, const std::string& role, bool passed, bool asserted) {
    outcome& o = outcomes_[name];
    o.failed |= !passed;
    o.asserted |= asserted;
    if (asserted) o.roles.insert(role);
  }
  void skip(const std::string& name, reason why) {
    outcomes_[name].skipped = true;
    outcomes_[name].why = why;
  }
  void print() const {
    std::size_t passed = 0, failed = 0, checked = 0;
    std::map<reason, std::size_t> skipped;
    for (const auto& [name, o] : outcomes_) {
      checked += o.roles.size();
      if (o.failed) {
        ++failed;
      } else if (o.asserted) {
        ++passed;
      } else {
        ++skipped[o.why];
      }
    }
    std::printf("golden %s: %zu run of %zu, %zu passed, %zu failed, %zu skipped", family_.c_str(),
                outcomes_.size(), cases_, passed, failed, outcomes_.size() - passed - failed);
    const char* separator = " (";
    for (const auto& [why, count] : skipped) {
      std::printf("%s%s: %zu", separator, describe(why), count);
      separator = ", ";
    }
    std::printf("%s; %zu of %zu outputs checked\n", skipped.empty() ? "" : ")", checked, outputs_);
  }

 private:
  struct outcome {
    bool failed = false, asserted = false, skipped = false;
    reason why = reason::recorded_only;
    std::set<std::string> roles;
  };
  std::string family_;
  std::size_t cases_, outputs_;
  std::map<std::string, outcome> outcomes_;
};

}  // namespace golden

#endif
