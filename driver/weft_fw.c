// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: firmware
 *
 * The image is read once and kept: a reset must not wait for a file system, nor
 * allocate.  It is checked here before the device sees it, so that a wrong file
 * gives a message that says what is wrong with it; the device checks it again.
 */
#include <linux/crc32.h>
#include <linux/delay.h>
#include <linux/firmware.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/module.h>

#include <drm/drm_print.h>

#include "weft_device.h"
#include "weft_fw.h"
#include "weft_inject.h"

#define WEFT_FIRMWARE "weft/weft-fw.bin"

#define CONTROL_TIMEOUT_US (1 * USEC_PER_SEC)
#define BOOT_TIMEOUT_US (2 * USEC_PER_SEC)

/* zlib's crc32, which complements before and after. */
static u32 image_crc(const void *data, size_t bytes)
{
	return ~crc32_le(~0, data, bytes);
}

/**
 * weft_fw_check() - is this an image that the device can be given?
 * @wdev: the device
 * @data: the file
 * @bytes: of it
 *
 * Return: 0, or after a message -EINVAL (not an image, or damaged), -EPROTO (for another
 * interface), -EFBIG.
 */
int weft_fw_check(struct weft_device *wdev, const void *data, size_t bytes)
{
	struct drm_device *drm = &wdev->drm;
	struct weft_fw_image header;
	u32 crc;

	if (bytes < sizeof(header)) {
		drm_err(drm, "%s has %zu bytes, no header\n", WEFT_FIRMWARE, bytes);
		return -EINVAL;
	}
	memcpy(&header, data, sizeof(header));
	if (header.magic != WEFT_FW_MAGIC || header.header_version != WEFT_FW_HEADER_VERSION ||
	    header.header_bytes != sizeof(header)) {
		drm_err(drm, "%s is not a firmware image of this kind (header version %u, expected %u)\n",
			WEFT_FIRMWARE, header.header_version, WEFT_FW_HEADER_VERSION);
		return -EINVAL;
	}
	crc = header.header_crc;
	header.header_crc = 0;
	if (image_crc(&header, sizeof(header)) != crc || header.program_bytes != bytes - sizeof(header) ||
	    image_crc(data + sizeof(header), header.program_bytes) != header.program_crc) {
		drm_err(drm, "%s is damaged (checksum or size)\n", WEFT_FIRMWARE);
		return -EINVAL;
	}
	if (header.hw_version >> 16 != WEFT_HW_VERSION_MAJOR ||
	    header.hw_version < WEFT_HW_VERSION(WEFT_HW_VERSION_MAJOR, WEFT_HW_VERSION_MINOR) ||
	    header.isa_version >> 16 != WEFT_ISA_VERSION_MAJOR) {
		drm_err(drm, "%s is for interface %u.%u and instruction set %u.%u, this driver has %u.%u and %u.%u\n",
			WEFT_FIRMWARE, header.hw_version >> 16, header.hw_version & 0xffff, header.isa_version >> 16,
			header.isa_version & 0xffff, WEFT_HW_VERSION_MAJOR, WEFT_HW_VERSION_MINOR,
			WEFT_ISA_VERSION_MAJOR, WEFT_ISA_VERSION_MINOR);
		return -EPROTO;
	}
	if (bytes > wdev->hw.firmware_bytes) {
		drm_err(drm, "%s has %zu bytes, the device takes %llu\n", WEFT_FIRMWARE, bytes,
			wdev->hw.firmware_bytes);
		return -EFBIG;
	}
	return 0;
}

/**
 * weft_fw_request() - read the image
 * @wdev: the device
 *
 * Return: 0 or a negative errno value.
 */
int weft_fw_request(struct weft_device *wdev)
{
	const struct firmware *fw;
	int ret;

	ret = weft_try(request_firmware(&fw, WEFT_FIRMWARE, &wdev->pdev->dev));
	if (ret) {
		drm_err(&wdev->drm, "cannot load %s: %pe\n", WEFT_FIRMWARE, ERR_PTR(ret));
		return ret;
	}
	ret = weft_fw_check(wdev, fw->data, fw->size);
	if (ret) {
		release_firmware(fw);
		return ret;
	}
	wdev->firmware = fw;
	return 0;
}

/**
 * weft_fw_release() - free the image
 * @wdev: the device, which is not started any more
 */
void weft_fw_release(struct weft_device *wdev)
{
	release_firmware(wdev->firmware);
	wdev->firmware = NULL;
}

static int control(struct weft_device *wdev, enum weft_hw_control what, u64 timeout_us)
{
	u32 value;

	weft_mailbox_write32(wdev, control, what);
	weft_doorbell(wdev, WEFT_HW_DOORBELL_CONTROL);
	return read_poll_timeout(ioread32, value, value == WEFT_HW_CONTROL_NONE, 100, timeout_us, false,
				 wdev->control + offsetof(struct weft_hw_mailbox, control));
}

/**
 * weft_fw_reset() - stop the device; when this succeeds it reaches no memory any more
 * @wdev: the device
 *
 * Return: 0 or -ETIMEDOUT.
 */
int weft_fw_reset(struct weft_device *wdev)
{
	u32 state;
	int ret;

	/* Engines finish the commands that they execute. */
	ret = control(wdev, WEFT_HW_CONTROL_RESET, (weft_command_timeout_ms + 1000ULL) * USEC_PER_MSEC);
	if (!ret)
		ret = read_poll_timeout(ioread32, state, state == WEFT_HW_STATE_WAITING, 100, CONTROL_TIMEOUT_US, false,
					wdev->control + offsetof(struct weft_hw_mailbox, state));
	if (ret)
		drm_err(&wdev->drm, "the device does not obey a reset\n");
	else
		weft_energy_stop(wdev);
	return ret;
}

/**
 * weft_fw_boot() - start the firmware on a device that has been reset
 * @wdev: the device, whose rings are open
 *
 * Return: 0; -ETIMEDOUT: no answer; -EPROTO: the answer makes no sense.
 */
int weft_fw_boot(struct weft_device *wdev)
{
	struct drm_device *drm = &wdev->drm;
	u32 state, slots, isa;
	int ret;

	memcpy_toio(wdev->control + wdev->hw.firmware_offset, wdev->firmware->data, wdev->firmware->size);
	weft_mailbox_write32(wdev, image_bytes, wdev->firmware->size);
	ret = control(wdev, WEFT_HW_CONTROL_BOOT, CONTROL_TIMEOUT_US);
	if (!ret)
		ret = read_poll_timeout(ioread32, state,
					state != WEFT_HW_STATE_BOOTING && state != WEFT_HW_STATE_WAITING, 100,
					BOOT_TIMEOUT_US, false,
					wdev->control + offsetof(struct weft_hw_mailbox, state));
	if (ret) {
		drm_err(drm, "the firmware does not answer\n");
		return ret;
	}
	if (state != WEFT_HW_STATE_RUNNING) {
		drm_err(drm, "the firmware was not started: state %u, error %u\n", state,
			weft_mailbox_read32(wdev, boot_error));
		return -EPROTO;
	}
	slots = weft_mailbox_read32(wdev, slots);
	isa = weft_mailbox_read32(wdev, isa_version);
	if (!slots || slots > WEFT_HW_MAX_SLOTS || isa >> 16 != WEFT_ISA_VERSION_MAJOR) {
		drm_err(drm, "the firmware reports %u slots and instruction set %u.%u\n", slots, isa >> 16,
			isa & 0xffff);
		return -EPROTO;
	}
	/* A later boot must not have fewer slots than the scheduler counts on. */
	if (wdev->hw.slots && slots < wdev->hw.slots)
		return -EPROTO;
	if (!wdev->hw.slots)
		wdev->hw.slots = slots;
	wdev->hw.isa_version = isa;
	memcpy_fromio(wdev->hw.firmware_version, wdev->control + offsetof(struct weft_hw_mailbox, firmware_version),
		      sizeof(wdev->hw.firmware_version));
	wdev->hw.firmware_version[sizeof(wdev->hw.firmware_version) - 1] = '\0';
	weft_energy_start(wdev);
	return 0;
}

MODULE_FIRMWARE(WEFT_FIRMWARE);
