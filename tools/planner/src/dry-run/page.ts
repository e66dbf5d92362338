import { lines, pageOf } from '@dynamo/replay';
import type { Pair } from '../budget/pools.ts';
import type { PlannedStep } from './dry-run.ts';

/** A plan in a few words. */
export function planSummary(steps: readonly PlannedStep[], gpus: Pair): Readonly<Record<string, number>> {
  const used = (pair: Pair): number => pair.prefill * gpus.prefill + pair.decode * gpus.decode;
  const hours = (of: (step: PlannedStep) => number): number => {
    const seconds = (steps[1]?.window.startSeconds ?? 0) - (steps[0]?.window.startSeconds ?? 0);
    return (steps.reduce((sum, step) => sum + of(step), 0) * seconds) / 3_600;
  };
  const most = (of: (step: PlannedStep) => number): number => steps.reduce((peak, step) => Math.max(peak, of(step)), 0);
  const short = steps.filter(({ workers, needed }) => workers.prefill < needed.prefill || workers.decode < needed.decode);
  return {
    intervals: steps.length,
    requests: steps.reduce((sum, { window }) => sum + window.requests, 0),
    changes: steps.filter(({ workers }, index) => index > 0 && used(workers) !== used(steps[index - 1]?.workers ?? workers)).length,
    most_gpus: most(({ workers }) => used(workers)),
    gpu_hours: hours(({ workers }) => used(workers)),
    gpu_hours_of_the_peak_all_day: hours(() => most(({ workers }) => used(workers))),
    intervals_short_of_workers: short.length,
  };
}

/** A plan as one page with its plots. */
export function planPage(
  steps: readonly PlannedStep[],
  options: { readonly title: string; readonly gpus: Pair; readonly intervalSeconds: number },
): string {
  const { gpus, intervalSeconds, title } = options;
  const over = (label: string, of: (step: PlannedStep) => number): { label: string; points: [number, number][] } => ({
    label,
    points: steps.map((step) => [step.window.startSeconds / 3_600, of(step)]),
  });
  const workers = (role: keyof Pair): string =>
    lines({ title: `Workers: ${role}`, x: 'h', y: 'workers' }, [
      over('planned', (step) => step.workers[role]),
      over('needed, as is known afterwards', (step) => step.needed[role]),
    ]);
  const summary = planSummary(steps, gpus);
  const plots = [
    lines({ title: 'Requests', x: 'h', y: 'requests/s' }, [
      over('came', ({ window }) => window.requests / intervalSeconds),
      over('expected', ({ expected }) => expected / intervalSeconds),
    ]),
    ...(['prefill', 'decode'] as const).filter((role) => steps.some((step) => step.workers[role] > 0)).map(workers),
    lines({ title: 'GPUs', x: 'h', y: 'GPUs' }, [over('planned', (step) => step.workers.prefill * gpus.prefill + step.workers.decode * gpus.decode)]),
  ];
  const rows = Object.entries(summary).map(
    ([name, value]) => `<tr><td>${name.replaceAll('_', ' ')}</td><td>${Number(value.toPrecision(6))}</td></tr>`,
  );
  return pageOf(title, `<table>${rows.join('')}</table>\n<div class="plots">\n${plots.join('\n')}\n</div>`);
}
