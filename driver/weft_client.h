/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_CLIENT_H__
#define __WEFT_CLIENT_H__

#include <drm/drm_file.h>
#include <linux/kref.h>
#include <linux/xarray.h>

#include <weft_isa.h>

struct weft_device;
struct drm_printer;

/**
 * struct weft_usage - what a client or a context has used; outlives it while jobs and objects do
 * @refs: references
 * @engine: what its jobs did on each engine, as in struct weft_hw_job_engine
 * @jobs: ended
 * @device_bytes: device memory of its buffer objects
 * @host_bytes: host memory of its buffer objects
 */
struct weft_usage {
	struct kref refs;
	struct {
		atomic64_t busy_ns;
		atomic64_t commands;
		atomic64_t cycles;
		atomic64_t picojoules;
		atomic64_t bytes;
	} engine[WEFT_ENGINES];
	atomic64_t jobs;
	atomic64_t device_bytes;
	atomic64_t host_bytes;
};

/**
 * struct weft_client - an open file
 * @wdev: the device
 * @usage: what it has used
 * @contexts: its contexts, by number
 * @queues: its queues, by number
 */
struct weft_client {
	struct weft_device *wdev;
	struct weft_usage *usage;
	struct xarray contexts;
	struct xarray queues;
};

static inline struct weft_client *to_weft_client(struct drm_file *file)
{
	return file->driver_priv;
}

struct weft_usage *weft_usage_new(void);
struct weft_usage *weft_usage_get(struct weft_usage *usage);
void weft_usage_put(struct weft_usage *usage);

int weft_client_open(struct drm_device *drm, struct drm_file *file);
void weft_client_close(struct drm_device *drm, struct drm_file *file);
void weft_client_show_fdinfo(struct drm_printer *printer, struct drm_file *file);

#endif
