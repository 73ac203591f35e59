// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a submission is measured against, in /sys/kernel/debug/weft-bench/: the round trip
 * to an ivshmem device that only answers (doorbell), and jobs of a drm_gpu_scheduler whose
 * device is an irq_work (sched, one after another; queued, all at once).  Each file, when
 * read, makes a number of measurements and shows their median in ns.
 */
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include <drm/gpu_scheduler.h>

#include <weft_hw.h>

#include "weft_compat.h"

static uint count = 200;
module_param(count, uint, 0644);
MODULE_PARM_DESC(count, "Measurements of one reading (default 200)");

static uint queued = 2000;
module_param(queued, uint, 0644);
MODULE_PARM_DESC(queued, "Jobs of one reading of \"queued\" (default 2000)");

/* As many as the firmware has job slots. */
#define CREDITS 32

struct bench {
	void __iomem *registers;
	struct completion answered;
	struct drm_gpu_scheduler sched;
	struct drm_sched_entity entity;
	struct dentry *folder;
};

struct mock_fence {
	struct dma_fence base;
	spinlock_t lock;
	struct irq_work work;
};

static const char *mock_name(struct dma_fence *fence)
{
	return "weft-bench";
}

static const struct dma_fence_ops mock_fence_ops = {
	.get_driver_name = mock_name,
	.get_timeline_name = mock_name,
};

static void mock_irq(struct irq_work *work)
{
	struct mock_fence *fence = container_of(work, struct mock_fence, work);

	dma_fence_signal(&fence->base);
	dma_fence_put(&fence->base); /* freed after a grace period */
}

struct mock_job {
	struct drm_sched_job base;
	struct mock_fence *fence;
};

static struct dma_fence *mock_run_job(struct drm_sched_job *base)
{
	struct mock_fence *fence = container_of(base, struct mock_job, base)->fence;

	dma_fence_get(&fence->base); /* for mock_irq() */
	irq_work_queue(&fence->work);
	return dma_fence_get(&fence->base);
}

static enum drm_gpu_sched_stat mock_timedout_job(struct drm_sched_job *base)
{
	return WEFT_SCHED_STAT_OK;
}

static void mock_free_job(struct drm_sched_job *base)
{
	struct mock_job *job = container_of(base, struct mock_job, base);

	drm_sched_job_cleanup(base);
	dma_fence_put(&job->fence->base);
	kfree(job);
}

static const struct drm_sched_backend_ops mock_ops = {
	.run_job = mock_run_job,
	.timedout_job = mock_timedout_job,
	.free_job = mock_free_job,
};

/* Pushes a job.  Its finished fence is referenced. */
static struct dma_fence *mock_push(struct bench *bench, u64 context, u64 seqno)
{
	struct mock_job *job = kzalloc(sizeof(*job), GFP_KERNEL);
	struct dma_fence *finished;
	int ret = -ENOMEM;

	if (!job)
		return ERR_PTR(-ENOMEM);
	job->fence = kzalloc(sizeof(*job->fence), GFP_KERNEL);
	if (job->fence)
		ret = weft_sched_job_init(&job->base, &bench->entity, 1, bench, 0);
	if (ret) {
		kfree(job->fence);
		kfree(job);
		return ERR_PTR(ret);
	}
	spin_lock_init(&job->fence->lock);
	dma_fence_init(&job->fence->base, &mock_fence_ops, &job->fence->lock, context, seqno);
	init_irq_work(&job->fence->work, mock_irq);
	drm_sched_job_arm(&job->base);
	finished = dma_fence_get(&job->base.s_fence->finished);
	drm_sched_entity_push_job(&job->base);
	return finished;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static int show_median(struct seq_file *file, int (*measure)(struct bench *bench, u64 *ns))
{
	u64 *values = kvmalloc_array(count, sizeof(*values), GFP_KERNEL);
	int ret = values && count ? 0 : -ENOMEM;

	for (uint i = 0; !ret && i < count; i++)
		ret = measure(file->private, &values[i]);
	if (!ret) {
		sort(values, count, sizeof(*values), compare, NULL);
		seq_printf(file, "%llu\n", values[count / 2]);
	}
	kvfree(values);
	return ret;
}

static int measure_doorbell(struct bench *bench, u64 *ns)
{
	u64 start = ktime_get_ns();

	reinit_completion(&bench->answered);
	iowrite32(0, bench->registers + WEFT_REG_DOORBELL);
	if (!wait_for_completion_timeout(&bench->answered, 10 * HZ))
		return -ETIMEDOUT;
	*ns = ktime_get_ns() - start;
	return 0;
}

static int doorbell_show(struct seq_file *file, void *unused)
{
	return show_median(file, measure_doorbell);
}
DEFINE_SHOW_ATTRIBUTE(doorbell);

static int measure_sched(struct bench *bench, u64 *ns)
{
	static u64 context, seqno;
	u64 start = ktime_get_ns();
	struct dma_fence *fence;

	if (!context)
		context = dma_fence_context_alloc(1);
	fence = mock_push(bench, context, ++seqno);
	if (IS_ERR(fence))
		return PTR_ERR(fence);
	dma_fence_wait(fence, false);
	*ns = ktime_get_ns() - start;
	dma_fence_put(fence);
	return 0;
}

static int sched_show(struct seq_file *file, void *unused)
{
	return show_median(file, measure_sched);
}
DEFINE_SHOW_ATTRIBUTE(sched);

/* All at once: ns for each. */
static int queued_show(struct seq_file *file, void *unused)
{
	struct bench *bench = file->private;
	u64 context = dma_fence_context_alloc(1), start = ktime_get_ns();
	struct dma_fence *last = NULL;

	for (uint i = 0; i < queued; i++) {
		struct dma_fence *fence = mock_push(bench, context, i + 1);

		dma_fence_put(last);
		last = fence;
		if (IS_ERR(fence))
			return PTR_ERR(fence);
	}
	if (last)
		dma_fence_wait(last, false);
	dma_fence_put(last);
	seq_printf(file, "%llu\n", div_u64(ktime_get_ns() - start, max(queued, 1u)));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(queued);

static irqreturn_t bench_interrupt(int irq, void *data)
{
	struct bench *bench = data;

	complete(&bench->answered);
	return IRQ_HANDLED;
}

static void free_vectors(void *pdev)
{
	pci_free_irq_vectors(pdev);
}

/* The NPU has the same PCI ID and says so in its memory. */
static bool is_npu(struct pci_dev *pdev)
{
	void __iomem *memory = pci_iomap(pdev, WEFT_BAR_MEMORY, 8);
	u64 magic = 0;

	if (memory) {
		magic = ioread32(memory) | (u64)ioread32(memory + 4) << 32;
		pci_iounmap(pdev, memory);
	}
	return magic == WEFT_HW_MAGIC;
}

static int bench_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct drm_gpu_scheduler *sched;
	struct bench *bench;
	int ret;

	bench = devm_kzalloc(&pdev->dev, sizeof(*bench), GFP_KERNEL);
	if (!bench)
		return -ENOMEM;
	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	if (is_npu(pdev))
		return -ENODEV;
	bench->registers = pcim_iomap(pdev, WEFT_BAR_REGISTERS, 0);
	if (!bench->registers)
		return -ENOMEM;
	pci_set_drvdata(pdev, bench);
	init_completion(&bench->answered);
	pci_set_master(pdev);
	ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX);
	if (ret < 0)
		return ret;
	ret = devm_add_action_or_reset(&pdev->dev, free_vectors, pdev);
	if (ret)
		return ret;
	ret = devm_request_irq(&pdev->dev, pci_irq_vector(pdev, 0), bench_interrupt, 0, "weft-bench", bench);
	if (ret)
		return ret;
	ret = weft_sched_init(&bench->sched, &mock_ops, NULL, CREDITS, MAX_SCHEDULE_TIMEOUT, NULL, "weft-bench",
			      &pdev->dev);
	if (ret)
		return ret;
	sched = &bench->sched;
	ret = drm_sched_entity_init(&bench->entity, DRM_SCHED_PRIORITY_NORMAL, &sched, 1, NULL);
	if (ret) {
		drm_sched_fini(&bench->sched);
		return ret;
	}
	bench->folder = debugfs_create_dir("weft-bench", NULL);
	debugfs_create_file("doorbell", 0400, bench->folder, bench, &doorbell_fops);
	debugfs_create_file("sched", 0400, bench->folder, bench, &sched_fops);
	debugfs_create_file("queued", 0400, bench->folder, bench, &queued_fops);
	return 0;
}

static void bench_remove(struct pci_dev *pdev)
{
	struct bench *bench = pci_get_drvdata(pdev);

	debugfs_remove(bench->folder);
	drm_sched_entity_destroy(&bench->entity);
	drm_sched_fini(&bench->sched);
}

static const struct pci_device_id bench_ids[] = {
	{ PCI_DEVICE(WEFT_PCI_VENDOR, WEFT_PCI_DEVICE) },
	{ }
};

static struct pci_driver bench_driver = {
	.name = "weft-bench",
	.id_table = bench_ids,
	.probe = bench_probe,
	.remove = bench_remove,
};
module_pci_driver(bench_driver);

MODULE_AUTHOR("The Weft project");
MODULE_DESCRIPTION("Measurements beside the Weft NPU");
MODULE_LICENSE("GPL");
