/** What pretraining minimizes: cross-entropies of linear heads on CLS, on the mean of the patches and on every patch. */
import {
  add,
  concat,
  matMul,
  mean,
  mul,
  reshape,
  slice,
  sum,
  valueAndGrads,
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@tensorflow/tfjs-core';
import type { Program, TensorSpec } from '../../../src-main/engine/program.ts';
import { crossEntropy } from '../../../src-main/methods/loss.ts';
import type { ParameterSpec } from '../../../src-main/methods/network.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { headWidth, patchTasks, pictureTasks } from './tasks.ts';
import type { Task } from './tasks.ts';
import { sinePositions, splitTokens, tokensOf, vitParameters, vitTokens } from './vit.ts';
import type { VitShape } from './vit.ts';

/** The mean of the patches is asked the same as CLS, with half the weight. */
const HEADS = { cls: pictureTasks, mean: pictureTasks, patch: patchTasks } as const;
const MEAN_WEIGHT = 0.5;

function headParameters(width: number): ParameterSpec[] {
  return Object.entries(HEADS).flatMap(([name, tasks]): ParameterSpec[] => [
    {
      name: `head.${name}.weight`,
      shape: [width, headWidth(tasks)],
      part: 'head',
      decay: true,
      initial: { deviation: 0.02 },
    },
    { name: `head.${name}.bias`, shape: [headWidth(tasks)], part: 'head', decay: false, initial: { value: 0 } },
  ]);
}

/** The ViT's parameters and those of the heads that are thrown away afterwards. */
export function pretrainingLayout(shape: VitShape): ParameterLayout {
  return new ParameterLayout([...vitParameters(shape), ...headParameters(shape.width)]);
}

/** Where pretraining starts; the seed decides it. */
export function initialParameters(shape: VitShape, layout: ParameterLayout, seed: number): Float32Array {
  const parameters = layout.initialize(seed);
  layout.views(parameters).position!.set(sinePositions(shape));
  return parameters;
}

/** Inputs of a micro-batch besides the parameters; weights are shares of the step's loss, 0 where there is no answer. */
export function batchInputs(shape: VitShape, batch: number): Record<string, TensorSpec> {
  const patches = tokensOf(shape) - 1;
  return {
    patches: { shape: [batch, patches, 3 * shape.patch ** 2], storage: 'float32' },
    picture_labels: { shape: [batch, pictureTasks.length], storage: 'int32' },
    picture_weights: { shape: [batch, pictureTasks.length], storage: 'float32' },
    patch_labels: { shape: [batch * patches, patchTasks.length], storage: 'int32' },
    patch_weights: { shape: [batch * patches, patchTasks.length], storage: 'float32' },
  };
}

/** Loss and gradient of a micro-batch. Inputs: `parameters` [P] and those of `batchInputs`; outputs `gradient` [P], `loss` [1]. */
export function pretrainingProgram(shape: VitShape, layout: ParameterLayout, batch: number): Program {
  return {
    inputs: { parameters: { shape: [layout.size], storage: 'float32' }, ...batchInputs(shape, batch) },
    run: (inputs) => {
      const cut = layout.cut(inputs.parameters as Tensor1D);
      const names = layout.parameters.map(({ name }) => name);
      const objective = (...values: Tensor[]): Scalar => {
        const parameters = Object.fromEntries(names.map((name, index) => [name, values[index]!]));
        const { cls, patches } = splitTokens(vitTokens(shape, parameters, inputs.patches as Tensor3D));
        const average: Tensor2D = mean(reshape(patches, [batch, -1, shape.width]), 1);
        const picture = { labels: inputs.picture_labels as Tensor2D, weights: inputs.picture_weights as Tensor2D };
        const patch = { labels: inputs.patch_labels as Tensor2D, weights: inputs.patch_weights as Tensor2D };
        const losses = [
          taskLoss(pictureTasks, headLogits(parameters, 'cls', cls), picture),
          mul(taskLoss(pictureTasks, headLogits(parameters, 'mean', average), picture), MEAN_WEIGHT),
          taskLoss(patchTasks, headLogits(parameters, 'patch', patches), patch),
        ];
        return losses.reduce((total, loss) => add(total, loss)) as Scalar;
      };
      const { value, grads } = valueAndGrads(objective)(names.map((name) => cut[name]!));
      return { gradient: concat(grads.map((gradient) => reshape(gradient, [-1]))), loss: reshape(value, [1]) };
    },
  };
}

/** Logits of all picture tasks from CLS, side by side, `logits` [batch, ...]: how pretraining is judged. */
export function picturesProgram(shape: VitShape, layout: ParameterLayout, batch: number): Program {
  const { patches } = batchInputs(shape, batch);
  return {
    inputs: { parameters: { shape: [layout.size], storage: 'float32' }, patches: patches! },
    run: (inputs) => {
      const parameters = layout.cut(inputs.parameters as Tensor1D);
      const { cls } = splitTokens(vitTokens(shape, parameters, inputs.patches as Tensor3D));
      return { logits: headLogits(parameters, 'cls', cls) };
    },
  };
}

function headLogits(parameters: Readonly<Record<string, Tensor>>, head: keyof typeof HEADS, rows: Tensor2D): Tensor2D {
  return add(matMul(rows, parameters[`head.${head}.weight`] as Tensor2D), parameters[`head.${head}.bias`]!);
}

/** Sum over tasks and rows of weight * cross-entropy; labels and weights are [rows, tasks]. */
function taskLoss(
  tasks: readonly Task[],
  logits: Tensor2D,
  { labels, weights }: { labels: Tensor2D; weights: Tensor2D },
): Scalar {
  const rows = logits.shape[0];
  let offset = 0;
  const losses = tasks.map(({ classes }, index): Scalar => {
    const own = slice(logits, [0, offset], [rows, classes]);
    offset += classes;
    const column = (of: Tensor2D) => reshape(slice(of, [0, index], [rows, 1]), [rows]) as Tensor1D;
    return sum(mul(crossEntropy(own, column(labels), 0), column(weights)));
  });
  return losses.reduce((total, loss) => add(total, loss));
}
