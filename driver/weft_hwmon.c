// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: energy
 *
 * hwmon's energy1_input, in microjoules: the sum over the engines of what the firmware
 * counts.  Its counters begin anew with each start of the firmware, so the driver adds
 * them up.  Reading does not wake the device up.
 */
#include <linux/hwmon.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/math64.h>

#include "weft_device.h"
#include "weft_hwmon.h"

/**
 * weft_energy_init() - nothing used yet
 * @wdev: the device
 */
void weft_energy_init(struct weft_device *wdev)
{
	spin_lock_init(&wdev->energy.lock);
}

static u64 counted(struct weft_device *wdev)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < WEFT_ENGINES; i++)
		sum += weft_mailbox_read64(wdev, engine[i].picojoules);
	return sum;
}

/**
 * weft_energy_start() - the firmware has been started
 * @wdev: the device
 */
void weft_energy_start(struct weft_device *wdev)
{
	unsigned long flags;

	spin_lock_irqsave(&wdev->energy.lock, flags);
	wdev->energy.running = true;
	spin_unlock_irqrestore(&wdev->energy.lock, flags);
}

/**
 * weft_energy_stop() - the firmware was stopped; its part of the mailbox will be cleared
 * @wdev: the device
 */
void weft_energy_stop(struct weft_device *wdev)
{
	unsigned long flags;

	spin_lock_irqsave(&wdev->energy.lock, flags);
	if (wdev->energy.running)
		wdev->energy.before += counted(wdev);
	wdev->energy.running = false;
	spin_unlock_irqrestore(&wdev->energy.lock, flags);
}

#if IS_REACHABLE(CONFIG_HWMON)

static umode_t is_visible(const void *data, enum hwmon_sensor_types type, u32 attribute, int channel)
{
	return 0444;
}

static int read_sensor(struct device *dev, enum hwmon_sensor_types type, u32 attribute, int channel, long *value)
{
	struct weft_device *wdev = dev_get_drvdata(dev);
	unsigned long flags;
	u64 picojoules;

	if (type != hwmon_energy || attribute != hwmon_energy_input)
		return -EOPNOTSUPP;
	spin_lock_irqsave(&wdev->energy.lock, flags);
	picojoules = wdev->energy.before + (wdev->energy.running ? counted(wdev) : 0);
	spin_unlock_irqrestore(&wdev->energy.lock, flags);
	*value = div_u64(picojoules, 1000000);
	return 0;
}

static int read_label(struct device *dev, enum hwmon_sensor_types type, u32 attribute, int channel, const char **text)
{
	*text = "engines";
	return 0;
}

static const struct hwmon_ops ops = {
	.is_visible = is_visible,
	.read = read_sensor,
	.read_string = read_label,
};

static const struct hwmon_channel_info *const channels[] = {
	HWMON_CHANNEL_INFO(energy, HWMON_E_INPUT | HWMON_E_LABEL),
	NULL
};

static const struct hwmon_chip_info chip = {
	.ops = &ops,
	.info = channels,
};

/**
 * weft_hwmon_init() - register the sensor, until the driver is unbound
 * @wdev: the device
 *
 * Return: 0 or a negative errno value.
 */
int weft_hwmon_init(struct weft_device *wdev)
{
	return PTR_ERR_OR_ZERO(devm_hwmon_device_register_with_info(&wdev->pdev->dev, "weft", wdev, &chip, NULL));
}

#else

/* Without hwmon there is no sensor. */
int weft_hwmon_init(struct weft_device *wdev)
{
	return 0;
}

#endif
