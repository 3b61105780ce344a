// What the demo prints and writes.
#ifndef DEMO_REPORT_HPP
#define DEMO_REPORT_HPP

#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/tensor.hpp"

namespace demo {

struct row {
  std::string model, variant;
  double top1 = 0, agreement = 0;  // shares, not percent
  engine::index_type images = 0, bytes = 0;
  double milliseconds = 0;
  std::string path;               // float, integer, simulated
  std::optional<double> kl = {};  // KL(float || this) on calibration images that no range saw
};

// How far an estimator's INT8 network is from float on the calibration images.
struct estimator_row {
  std::string model, estimator;
  double kl = 0, sqnr_db = 0;
};

struct report {
  std::vector<row> rows;
  std::vector<estimator_row> estimators;

  std::string json() const {
    nlohmann::ordered_json all;
    all["rows"] = nlohmann::ordered_json::array();
    for (const row& r : rows) {
      nlohmann::ordered_json one{{"model", r.model},
                                 {"variant", r.variant},
                                 {"top1", r.top1},
                                 {"agreement_with_fp32", r.agreement},
                                 {"images", r.images},
                                 {"bytes", r.bytes},
                                 {"ms_per_image", r.milliseconds},
                                 {"path", r.path}};
      if (r.kl) one["calibration_kl"] = *r.kl;
      all["rows"].push_back(std::move(one));
    }
    all["estimators"] = nlohmann::ordered_json::array();
    for (const estimator_row& d : estimators) {
      all["estimators"].push_back({{"model", d.model},
                                   {"estimator", d.estimator},
                                   {"calibration_kl", d.kl},
                                   {"calibration_sqnr_db", d.sqnr_db}});
    }
    return all.dump(1) + "\n";
  }
};

inline void print_header() {
  std::printf("%-12s %-40s %7s %8s %7s %10s %9s %9s  %s\n", "model", "variant", "top-1 %",
              "agree %", "images", "bytes", "ms/image", "KL", "path");
}
inline void print(const row& r) {
  char kl[16] = "";
  if (r.kl) std::snprintf(kl, sizeof kl, "%9.5f", *r.kl);
  std::printf("%-12s %-40s %7.2f %8.2f %7td %10td %9.3f %9s  %s\n", r.model.c_str(),
              r.variant.c_str(), 100 * r.top1, 100 * r.agreement, r.images, r.bytes, r.milliseconds,
              kl, r.path.c_str());
  std::fflush(stdout);
}

}  // namespace demo

#endif
