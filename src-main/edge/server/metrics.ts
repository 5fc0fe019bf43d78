/** The server's figures in Prometheus' text format. */
import type { ServedModel } from './served-model.ts';

const seconds = (ns: number): number => ns / 1e9;

interface Metric {
  name: string;
  help: string;
  type: 'counter' | 'gauge';
  values: [labels: string, value: number][];
}

export function metricsText(models: readonly ServedModel[], bufferedBytes: number): string {
  const each = (read: (model: ServedModel) => number): [string, number][] =>
    models.map((model) => [`{model="${model.name}"}`, read(model)]);
  const counter = (name: string, help: string, read: (model: ServedModel) => number): Metric => ({
    name: `sidetune_edge_${name}`,
    help,
    type: 'counter',
    values: each(read),
  });
  const gauge = (name: string, help: string, values: Metric['values']): Metric => ({
    name,
    help,
    type: 'gauge',
    values,
  });
  const metrics: Metric[] = [
    counter('requests_success_total', 'Requests answered.', ({ statistics }) => statistics.success.count),
    counter('requests_failed_total', 'Requests refused or failed.', ({ statistics }) => statistics.fail.count),
    counter(
      'requests_busy_total',
      'Of them, those for which there was no room.',
      ({ statistics }) => statistics.rejected,
    ),
    counter('images_total', 'Images that went through the ViT.', ({ statistics }) => statistics.images),
    counter('batches_total', 'Runs of the ViT.', ({ statistics }) => statistics.executions),
    counter('received_bytes_total', 'Bytes of request bodies.', ({ statistics }) => statistics.bytesReceived),
    counter('sent_bytes_total', 'Bytes of answer bodies.', ({ statistics }) => statistics.bytesSent),
    counter('request_seconds_total', 'Time of requests that were answered.', ({ statistics }) =>
      seconds(statistics.success.ns),
    ),
    counter('queue_seconds_total', 'Time that requests waited for a batch.', ({ statistics }) =>
      seconds(statistics.queue.ns),
    ),
    counter('infer_seconds_total', 'Time of the runs of the ViT.', ({ statistics }) =>
      seconds(statistics.computeInfer.ns),
    ),
    gauge(
      'sidetune_edge_waiting_images',
      'Images that wait or are at work.',
      each(({ load }) => load),
    ),
    gauge('sidetune_edge_buffered_bytes', 'Bytes of bodies that are held.', [['', bufferedBytes]]),
    gauge('process_resident_memory_bytes', 'Memory of the server.', [['', process.memoryUsage.rss()]]),
  ];
  return metrics
    .map(({ name, help, type, values }) =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${type}`,
        ...values.map(([labels, value]) => `${name}${labels} ${value}`),
      ].join('\n'),
    )
    .join('\n')
    .concat('\n');
}
