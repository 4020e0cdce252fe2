// What every life of a driver begins with, in whichever process it lives: its configuration,
// checked and handed over, and its objects, restored.
//
// The configuration is checked against the schema that the driver carries, so that a misspelt
// member is told with its place in skepd.toml before any code of the driver has seen it. A schema
// that is none is the driver's fault and said so.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "core/model/result.hpp"
#include "daemon/drivers/body.hpp"
#include "daemon/drivers/plugin_config.hpp"
#include "daemon/drivers/restore_plan.hpp"

namespace skep::drivers {

using CalleePtr = std::shared_ptr<Callee>;
using CallTablePtr = std::shared_ptr<CallTable>;

// An error of configure_driver() that says nothing against the configuration: the driver died or
// hung over it.
bool is_loss(const Error& error);

// `config.config` against `schema` (empty: anything goes). "config_rejected: ...".
Status check_config(const PluginConfig& config, const std::string& schema);

// Makes the driver's folders, checks the configuration and hands it over.
boost::asio::awaitable<Status> configure_driver(CalleePtr callee, CallTablePtr table,
                                                PluginConfig config, PluginPlace place,
                                                std::string schema);

// skep.base/1 reconfigure. ErrorKind::precondition and unimplemented: it needs another life.
boost::asio::awaitable<Status> reconfigure_driver(CalleePtr callee, CallTablePtr table,
                                                  PluginConfig config, std::string schema);

// restore of each object, then restore_done. Errors: the driver was lost over it, or did not answer
// in time; what it says itself of an object is told to the plan or logged, and the driver serves.
boost::asio::awaitable<Status> restore_objects(CalleePtr callee, CallTablePtr table,
                                               RestorePlan plan);

}  // namespace skep::drivers
