/** The process behind `chooseLanes`: told a question, it opens what a trainer opens, says so, times a gradient, and ends. */
import { parent } from '../../base/parent.ts';
import { CompiledEngine } from '../../engine/compiled.ts';
import { buildNetwork } from '../build-network.ts';
import { defaultMicroBatch } from '../micro-batch.ts';
import { ParameterLayout } from '../parameters.ts';
import { logitsProgram, updateProgram } from '../programs.ts';
import { timeStep } from './step-probe.ts';
import type { StepQuestion } from './step-question.ts';

parent.onGone(() => process.exit());
// Ctrl-C reaches the whole process group; the parent decides what it means.
process.on('SIGINT', () => undefined);
parent.listen((question) => {
  void probe(question as StepQuestion).finally(() => parent.leave());
});

async function probe(question: StepQuestion): Promise<void> {
  const { settings, frozen, threads } = question;
  const network = buildNetwork(settings, frozen, 'plain');
  const layout = new ParameterLayout(network.parameters);
  const batch = defaultMicroBatch(frozen.layout, network.maps.length, settings.batch, threads);
  const shape = { batch, layout: frozen.layout, scales: network.maps.map(() => 1), rowSums: false, dropPath: false };
  const engine = new CompiledEngine({ threads: 1 });
  await engine.compile(updateProgram(layout));
  await engine.compile(logitsProgram(network, layout, shape));
  const msPerImage = await timeStep(question, 'plain', batch, () => parent.tell('open'));
  parent.tell(msPerImage / 1000);
}
