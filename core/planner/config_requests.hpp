// What may be asked of configs, as changes of a draft.
//
// Each function checks the request against the draft, changes it, or returns an error and leaves it
// as it was. A service's spec can't refer to a config yet, so none is ever in use.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model/id_source.hpp"
#include "core/model/result.hpp"
#include "core/model/validate.hpp"
#include "core/store/draft.hpp"

namespace skep::planner {

// With its data a config nearly fills a raft entry (1 MiB); its labels share what is left.
inline constexpr size_t kConfigRowBytesMax = model::kConfigDataBytesMax + 16 * 1024;

// Conflict if the name is taken; invalid or too_large for a spec that can't be kept.
Result<model::ConfigId> create_config(store::Draft& draft, model::ConfigSpec spec,
                                      model::IdSource& ids);
// Only the labels may differ; a spec with the same data is welcome, as `stack deploy` sends it.
Status update_config(store::Draft& draft, model::ConfigId id, uint64_t version,
                     model::ConfigSpec spec);
Status remove_config(store::Draft& draft, model::ConfigId id);

}  // namespace skep::planner
