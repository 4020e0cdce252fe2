/* volume-dir-c: volumes as folders, in plain C. One option: `mode`, the folder's permissions.
 *
 * ROOT/NAME/options.json says how a volume was made, ROOT/NAME/data is what publish answers. A
 * volume comes into being by a rename and goes by one, so a crash at any moment leaves it whole or
 * not there; what was half done has a name with a dot in front and is swept away after the next
 * start. Everything that must outlast a restart is in those files: only who holds what is in
 * memory, and the host tells that anew.
 *
 * Each operation is a function from a request to a reply or a failure; skep/c/driver.h does the
 * rest.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* fts */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "skep/c/driver.h"
#include "skep/volume.h"

static const char config_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"root\": {\"type\": \"string\", \"description\": \"where the folders are made\"}}}";
static const char options_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"mode\": {\"type\": \"string\", \"pattern\": \"^[0-7]{3,4}$\","
    " \"description\": \"permissions of the folder, in octal; 755 when not told\"}}}";

enum { options_bytes_max = 4096 };

struct driver {
  skep_driver base;
  char root[PATH_MAX - 512]; /* leaves room for what stands below it */
  pthread_mutex_t lock;      /* guards holders */
  cJSON* holders;            /* {VOLUME: [HOLDER..]}, as the host last told it */
};

/* ---- requests ---- */

/* What create and validate refuse alike. *options is {} or the request's own. */
static skep_status check_arguments(const cJSON* request, const cJSON** options, skep_failure* why) {
  const cJSON* sharing = skep_member(request, "sharing");
  if (sharing != NULL && !cJSON_IsString(sharing)) {
    return skep_fail(why, SKEP_E_INVALID, "\"sharing\" must be text");
  }
  if (sharing != NULL && strcmp(sharing->valuestring, "all") != 0) {
    return skep_fail(why, SKEP_E_UNIMPLEMENTED,
                     "this driver has no volumes with the sharing \"%.64s\"", sharing->valuestring);
  }
  if (skep_member(request, "capacity_bytes") != NULL) {
    return skep_fail(why, SKEP_E_INVALID,
                     "\"capacity_bytes\": this driver can't limit a volume's size");
  }
  *options = skep_member(request, "options");
  if (*options == NULL) return SKEP_OK;
  if (!cJSON_IsObject(*options))
    return skep_fail(why, SKEP_E_INVALID, "\"options\" must be an object");
  const cJSON* option;
  cJSON_ArrayForEach(option, *options) {
    if (strcmp(option->string, "mode") != 0) {
      return skep_fail(why, SKEP_E_INVALID, "there is no option \"%.128s\"", option->string);
    }
    const char* digits = cJSON_IsString(option) ? option->valuestring : "";
    const size_t count = strspn(digits, "01234567");
    if ((count != 3 && count != 4) || digits[count] != '\0') {
      return skep_fail(why, SKEP_E_INVALID, "\"options.mode\" must be three or four octal digits");
    }
  }
  return SKEP_OK;
}

/* ---- files ---- */

struct path {
  char text[PATH_MAX];
};

static struct path below(const struct driver* self, const char* before, const char* volume,
                         const char* after) {
  struct path path;
  snprintf(path.text, sizeof path.text, "%s/%s%s%s", self->root, before, volume, after);
  return path;
}

/* Walks over a folder: adds up what it occupies, and takes it away if `take_away`. 0 when it is
 * done, also when there was nothing. With `waited_for` it ends as soon as nobody waits for the
 * operation any more, with ECANCELED. */
static int walk(const char* path, int take_away, int64_t* bytes, const struct driver* waited_for) {
  skep_failure why;
  char* roots[] = {(char*)path, NULL};
  FTS* tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  if (tree == NULL) return -1;
  int outcome = 0;
  for (FTSENT* entry; outcome == 0 && (errno = 0, entry = fts_read(tree)) != NULL;) {
    if (waited_for != NULL && skep_wanted(&waited_for->base, &why) != SKEP_OK) {
      errno = ECANCELED;
      break;
    }
    if (entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR) {
      errno = entry->fts_errno;
      outcome = errno == ENOENT ? 0 : -1;
    } else if (entry->fts_info == FTS_D) {
      *bytes += (int64_t)entry->fts_statp->st_blocks * 512;
    } else if (entry->fts_info != FTS_DP) {
      /* A file with several names counts at each of them with its share. */
      *bytes += (int64_t)entry->fts_statp->st_blocks * 512 / (int64_t)entry->fts_statp->st_nlink;
    }
    if (take_away && entry->fts_info != FTS_D && outcome == 0 && remove(entry->fts_path) != 0 &&
        errno != ENOENT) {
      outcome = -1;
    }
  }
  if (errno != 0) outcome = -1; /* of the last step, or of fts_read itself */
  const int number = errno;
  fts_close(tree);
  errno = number;
  return outcome;
}

static int take_away(const char* path) {
  int64_t ignored = 0;
  return walk(path, 1, &ignored, NULL);
}

static int sync_folder(const char* path) {
  const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -1;
  const int outcome = fsync(folder);
  close(folder);
  return outcome;
}

static int write_file(const char* path, const char* text) {
  const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return -1;
  const size_t size = strlen(text);
  int outcome = write(file, text, size) == (ssize_t)size && fsync(file) == 0 ? 0 : -1;
  if (close(file) != 0) outcome = -1;
  return outcome;
}

/* How a volume was made, or NULL with errno; the caller's. */
static cJSON* read_options(const struct driver* self, const char* volume) {
  char text[options_bytes_max];
  const int file = open(below(self, "", volume, "/options.json").text, O_RDONLY | O_CLOEXEC);
  if (file < 0) return NULL;
  const ssize_t size = read(file, text, sizeof text);
  close(file);
  if (size < 0) return NULL;
  cJSON* options = cJSON_ParseWithLength(text, (size_t)size);
  if (options == NULL) errno = EBADMSG;
  return options;
}

/* ---- what every operation of a kind needs ---- */

static skep_status not_found(skep_failure* why, const char* volume) {
  /* A file that somebody put beside the volumes is none of them. */
  if (errno != ENOENT && errno != ENOTDIR) return skep_fail_errno(why, volume);
  return skep_fail(why, SKEP_E_NOTFOUND, "there is no volume %s", volume);
}

static cJSON* handle(void) {
  cJSON* made = cJSON_CreateObject();
  cJSON_AddNumberToObject(made, "version", 1);
  return made;
}

/* Writes VOLUME into `document`. */
static skep_status describe(const struct driver* self, const char* volume, cJSON* document,
                            skep_failure* why) {
  cJSON* options = read_options(self, volume);
  if (options == NULL) return not_found(why, volume);
  cJSON_AddStringToObject(document, "volume", volume);
  cJSON_AddItemToObject(document, "handle", handle());
  cJSON_AddItemToObject(document, "options", options);
  cJSON_AddStringToObject(document, "path", below(self, "", volume, "/data").text);
  return SKEP_OK;
}

/* From now on `volume` is held by `holders` and by `one_more`, if not NULL. */
static void set_holders(struct driver* self, const char* volume, const cJSON* holders,
                        const char* one_more) {
  cJSON* list = cJSON_Duplicate(holders, 1);
  if (one_more != NULL) cJSON_AddItemToArray(list, cJSON_CreateString(one_more));
  pthread_mutex_lock(&self->lock);
  cJSON_DeleteItemFromObjectCaseSensitive(self->holders, volume);
  if (cJSON_GetArraySize(list) > 0) {
    cJSON_AddItemToObject(self->holders, volume, list);
  } else {
    cJSON_Delete(list);
  }
  pthread_mutex_unlock(&self->lock);
}

/* ---- skep.volume/1 ---- */

static skep_status validate(struct driver* self, const cJSON* request, cJSON* reply,
                            skep_failure* why) {
  (void)self;
  (void)reply;
  const cJSON* options;
  return check_arguments(request, &options, why);
}

/* Makes the folder under a name that is no volume's, then gives it its own. */
static skep_status make_folder(struct driver* self, const char* volume, const char* options,
                               mode_t mode, skep_failure* why) {
  const struct path unfinished = below(self, ".new-", volume, "");
  const struct path data = below(self, ".new-", volume, "/data");
  if (take_away(unfinished.text) != 0 || mkdir(unfinished.text, 0711) != 0 ||
      mkdir(data.text, 0700) != 0 || chmod(data.text, mode) != 0 ||
      write_file(below(self, ".new-", volume, "/options.json").text, options) != 0 ||
      sync_folder(unfinished.text) != 0 ||
      rename(unfinished.text, below(self, "", volume, "").text) != 0 ||
      sync_folder(self->root) != 0) {
    const skep_status status = skep_fail_errno(why, volume);
    take_away(unfinished.text); /* if that fails too, it goes after the next start */
    return status;
  }
  return SKEP_OK;
}

static skep_status create(struct driver* self, const cJSON* request, cJSON* reply,
                          skep_failure* why) {
  const char* volume;
  const cJSON* options;
  skep_status status = skep_file_name(request, "volume", &volume, why);
  if (status == SKEP_OK) status = check_arguments(request, &options, why);
  if (status != SKEP_OK) return status;

  cJSON* asked = options != NULL ? cJSON_Duplicate(options, 1) : cJSON_CreateObject();
  cJSON* present = read_options(self, volume);
  if (present != NULL) {
    if (!cJSON_Compare(asked, present, 1)) {
      status = skep_fail(why, SKEP_E_EXISTS, "volume %s exists with other options", volume);
    }
  } else if (errno != ENOENT) {
    status = skep_fail_errno(why, volume);
  } else {
    const cJSON* mode = skep_member(asked, "mode");
    char* text = cJSON_PrintUnformatted(asked);
    status = text == NULL
                 ? skep_fail(why, SKEP_E_EXHAUSTED, "out of memory")
                 : make_folder(self, volume, text,
                               mode ? (mode_t)strtoul(mode->valuestring, NULL, 8) : 0755, why);
    cJSON_free(text);
  }
  cJSON_Delete(asked);
  cJSON_Delete(present);
  if (status == SKEP_OK) cJSON_AddItemToObject(reply, "handle", handle());
  return status;
}

static skep_status remove_volume(struct driver* self, const cJSON* request, cJSON* reply,
                                 skep_failure* why) {
  (void)reply;
  const char* volume;
  skep_status status = skep_file_name(request, "volume", &volume, why);
  if (status != SKEP_OK) return status;
  pthread_mutex_lock(&self->lock);
  const cJSON* holders = cJSON_GetObjectItemCaseSensitive(self->holders, volume);
  if (holders != NULL) {
    status = skep_fail(why, SKEP_E_BUSY, "volume %s is held by %.128s", volume,
                       holders->child->valuestring);
  }
  pthread_mutex_unlock(&self->lock);
  if (status != SKEP_OK) return status;

  const struct path old = below(self, ".old-", volume, "");
  if (take_away(old.text) != 0) return skep_fail_errno(why, volume);
  if (rename(below(self, "", volume, "").text, old.text) != 0) {
    return errno == ENOENT ? SKEP_OK : skep_fail_errno(why, volume);
  }
  if (sync_folder(self->root) != 0 || take_away(old.text) != 0) return skep_fail_errno(why, volume);
  return SKEP_OK;
}

static skep_status get(struct driver* self, const cJSON* request, cJSON* reply, skep_failure* why) {
  const char* volume;
  const skep_status status = skep_file_name(request, "volume", &volume, why);
  return status != SKEP_OK ? status : describe(self, volume, reply, why);
}

static int is_volume(const struct dirent* entry) {
  return entry->d_name[0] != '.';
}
static int by_name(const struct dirent** a, const struct dirent** b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

/* By name, and the token is the last name told: what comes and goes meanwhile moves nothing else.
 */
static skep_status list(struct driver* self, const cJSON* request, cJSON* reply,
                        skep_failure* why) {
  const cJSON* max = skep_member(request, "max");
  const cJSON* token = skep_member(request, "token");
  if (max != NULL && (!cJSON_IsNumber(max) || max->valuedouble < 1)) {
    return skep_fail(why, SKEP_E_INVALID, "\"max\" must be a number and at least 1");
  }
  if (token != NULL && !cJSON_IsString(token))
    return skep_fail(why, SKEP_E_INVALID, "\"token\" must be text");
  struct dirent** entries;
  const int count = scandir(self->root, &entries, is_volume, by_name);
  if (count < 0) return skep_fail_errno(why, self->root);

  skep_status status = SKEP_OK;
  cJSON* volumes = cJSON_AddArrayToObject(reply, "volumes");
  const char* last = NULL;
  for (int i = 0; i < count && status == SKEP_OK; ++i) {
    if (token != NULL && strcmp(entries[i]->d_name, token->valuestring) <= 0) continue;
    if (max != NULL && cJSON_GetArraySize(volumes) >= max->valuedouble) {
      cJSON_AddStringToObject(reply, "next", last);
      break;
    }
    cJSON* document = cJSON_CreateObject();
    status = describe(self, entries[i]->d_name, document, why);
    if (status == SKEP_OK) {
      cJSON_AddItemToArray(volumes, document);
      last = entries[i]->d_name;
    } else {
      cJSON_Delete(document);
      if (status == SKEP_E_NOTFOUND) status = SKEP_OK; /* it went meanwhile */
    }
  }
  for (int i = 0; i < count; ++i) free(entries[i]);
  free(entries);
  return status;
}

static skep_status publish(struct driver* self, const cJSON* request, cJSON* reply,
                           skep_failure* why) {
  const char *volume, *holder;
  const cJSON* holders;
  skep_status status = skep_file_name(request, "volume", &volume, why);
  if (status == SKEP_OK) status = skep_text(request, "holder", &holder, why);
  if (status == SKEP_OK) status = skep_texts(request, "holders", &holders, why);
  if (status != SKEP_OK) return status;
  const struct path data = below(self, "", volume, "/data");
  if (access(data.text, F_OK) != 0) return not_found(why, volume);
  set_holders(self, volume, holders, holder);
  cJSON_AddStringToObject(reply, "path", data.text);
  return SKEP_OK;
}

static skep_status unpublish(struct driver* self, const cJSON* request, cJSON* reply,
                             skep_failure* why) {
  (void)reply;
  const char *volume, *holder;
  const cJSON* holders;
  skep_status status = skep_file_name(request, "volume", &volume, why);
  if (status == SKEP_OK) status = skep_text(request, "holder", &holder, why);
  if (status == SKEP_OK) status = skep_texts(request, "holders", &holders, why);
  if (status == SKEP_OK) set_holders(self, volume, holders, NULL);
  return status;
}

static skep_status usage(struct driver* self, const cJSON* request, cJSON* reply,
                         skep_failure* why) {
  const char* volume;
  const skep_status status = skep_file_name(request, "volume", &volume, why);
  if (status != SKEP_OK) return status;
  const struct path data = below(self, "", volume, "/data");
  struct statvfs space;
  int64_t bytes = 0;
  if (statvfs(data.text, &space) != 0) return not_found(why, volume);
  if (walk(data.text, 0, &bytes, self) != 0) {
    return errno == ECANCELED ? skep_wanted(&self->base, why) : skep_fail_errno(why, volume);
  }
  cJSON_AddNumberToObject(reply, "used_bytes", (double)bytes);
  cJSON_AddNumberToObject(reply, "available_bytes",
                          (double)space.f_bavail * (double)space.f_frsize);
  return SKEP_OK;
}

static skep_status mounts(struct driver* self, const cJSON* request, cJSON* reply,
                          skep_failure* why) {
  (void)self;
  (void)request;
  (void)why;
  cJSON_AddArrayToObject(reply, "mounts"); /* folders need none */
  return SKEP_OK;
}

/* ---- skep.base/1 ---- */

static skep_status capabilities(struct driver* self, const cJSON* request, cJSON* reply,
                                skep_failure* why) {
  (void)self;
  (void)request;
  (void)why;
  cJSON_AddStringToObject(reply, "scope", "local");
  cJSON_AddItemToArray(cJSON_AddArrayToObject(reply, "sharing"), cJSON_CreateString("all"));
  return SKEP_OK;
}

static skep_status configure(struct driver* self, const cJSON* request, cJSON* reply,
                             skep_failure* why) {
  (void)reply;
  const char* root;
  const cJSON* config = skep_member(request, "config");
  if (!cJSON_IsObject(config))
    return skep_fail(why, SKEP_E_INVALID, "\"config\" must be an object");
  const skep_status status = skep_member(config, "root") != NULL
                                 ? skep_text(config, "root", &root, why)
                                 : skep_text(request, "data_dir", &root, why);
  if (status != SKEP_OK) return status;
  if (root[0] != '/' || strlen(root) >= sizeof self->root) {
    return skep_fail(why, SKEP_E_INVALID,
                     "\"config.root\" must be an absolute path, and not so long");
  }
  if (self->base.configured && strcmp(root, self->root) != 0) {
    return skep_fail(why, SKEP_E_PRECONDITION,
                     "the driver is configured; a change needs a restart");
  }
  if (mkdir(root, 0711) != 0 && errno != EEXIST) return skep_fail_errno(why, root);
  strcpy(self->root, root);
  self->base.configured = 1;
  return SKEP_OK;
}

static skep_status probe(struct driver* self, const cJSON* request, cJSON* reply,
                         skep_failure* why) {
  (void)request;
  (void)why;
  const int fine = !self->base.configured || access(self->root, W_OK) == 0;
  cJSON_AddStringToObject(reply, "state", fine ? "ready" : "broken");
  if (!fine) cJSON_AddStringToObject(reply, "reason", "the folder of the volumes can't be written");
  return SKEP_OK;
}

static skep_status restore(struct driver* self, const cJSON* request, cJSON* reply,
                           skep_failure* why) {
  (void)reply;
  const char* volume;
  const cJSON* holders;
  skep_status status = skep_file_name(request, "id", &volume, why);
  if (status != SKEP_OK) return status;
  if (access(below(self, "", volume, "/data").text, F_OK) != 0) return not_found(why, volume);
  if (skep_member(request, "holders") == NULL) return SKEP_OK;
  status = skep_texts(request, "holders", &holders, why);
  if (status == SKEP_OK) set_holders(self, volume, holders, NULL);
  return status;
}

/* What a crash left half made or half taken away. */
static int is_unfinished(const struct dirent* entry) {
  return strncmp(entry->d_name, ".new-", 5) == 0 || strncmp(entry->d_name, ".old-", 5) == 0;
}

static skep_status restore_done(struct driver* self, const cJSON* request, cJSON* reply,
                                skep_failure* why) {
  (void)reply;
  const cJSON* ids;
  skep_status status = skep_texts(request, "ids", &ids, why);
  if (status != SKEP_OK) return status;
  struct dirent** entries;
  const int count = scandir(self->root, &entries, is_unfinished, by_name);
  if (count < 0) return skep_fail_errno(why, self->root);
  for (int i = 0; i < count; ++i) {
    const struct path path = below(self, "", entries[i]->d_name, "");
    if (take_away(path.text) != 0) status = skep_fail_errno(why, entries[i]->d_name);
    free(entries[i]);
  }
  free(entries);
  return status;
}

static skep_status dump(struct driver* self, const cJSON* request, cJSON* reply,
                        skep_failure* why) {
  (void)request;
  (void)why;
  cJSON_AddStringToObject(reply, "root", self->root);
  pthread_mutex_lock(&self->lock);
  cJSON_AddItemToObject(reply, "holders", cJSON_Duplicate(self->holders, 1));
  pthread_mutex_unlock(&self->lock);
  return SKEP_OK;
}

/* ---- tables and identity ---- */

SKEP_CALL(capabilities, 0)
SKEP_CALL(configure, 0)
SKEP_CALL(probe, 0)
SKEP_CALL(restore, 1)
SKEP_CALL(restore_done, 1)
SKEP_CALL(dump, 0)
SKEP_CALL(create, 1)
SKEP_CALL(remove_volume, 1)
SKEP_CALL(get, 1)
SKEP_CALL(list, 1)
SKEP_CALL(validate, 1)
SKEP_CALL(publish, 1)
SKEP_CALL(unpublish, 1)
SKEP_CALL(usage, 1)
SKEP_CALL(mounts, 1)

static const skep_base_1 base_table = {
    .struct_size = sizeof base_table,
    .capabilities = call_capabilities,
    .configure = call_configure,
    .probe = call_probe,
    .restore = call_restore,
    .restore_done = call_restore_done,
    .drain = skep_call_drain,
    .shutdown = skep_call_shutdown,
    .dump = call_dump,
};

static const skep_volume_1 volume_table = {
    .struct_size = sizeof volume_table,
    .create = call_create,
    .remove = call_remove_volume,
    .get = call_get,
    .list = call_list,
    .validate = call_validate,
    .publish = call_publish,
    .unpublish = call_unpublish,
    .usage = call_usage,
    .mounts = call_mounts,
};

static const void* get_interface(void* self, const char* id) {
  (void)self;
  if (strcmp(id, SKEP_BASE_1) == 0) return &base_table;
  return strcmp(id, SKEP_VOLUME_1) == 0 ? &volume_table : NULL;
}

static void destroy(void* self) {
  struct driver* driver = self;
  cJSON_Delete(driver->holders);
  pthread_mutex_destroy(&driver->lock);
  free(driver);
}

static const skep_instance* make(const skep_host* host) {
  struct driver* driver = calloc(1, sizeof *driver);
  if (driver == NULL) return NULL;
  driver->base.host = host;
  driver->holders = cJSON_CreateObject();
  pthread_mutex_init(&driver->lock, NULL);
  if (driver->holders == NULL) {
    destroy(driver);
    return NULL;
  }
  driver->base.instance.struct_size = sizeof driver->base.instance;
  driver->base.instance.self = driver;
  driver->base.instance.get_interface = get_interface;
  driver->base.instance.destroy = destroy;
  return &driver->base.instance;
}

#define INTERFACES SKEP_BASE_1 " " SKEP_VOLUME_1
SKEP_DECLARE_NOTE("volume-dir-c", "0.1.0", INTERFACES);

const skep_plugin* skep_plugin_query(void) {
  static const skep_plugin plugin = {
      .struct_size = sizeof plugin,
      .abi_major = SKEP_ABI_MAJOR,
      .abi_minor = SKEP_ABI_MINOR,
      .host_minor_needed = SKEP_ABI_TARGET_MINOR,
      .id = "volume-dir-c",
      .version = "0.1.0",
      .vendor = "",
      .interfaces = INTERFACES,
      .config_schema = config_schema,
      .options_schema = options_schema,
      .create = make,
  };
  return &plugin;
}
