import { Presets, SingleBar } from 'cli-progress';

/** Shows how far a step is. */
export interface Progress {
  update(done: number, total: number): void;
  stop(): void;
}

const LINE_INTERVAL = 2_000;

/** A bar on a terminal, and a line now and then where there is none. */
export function startProgress(label: string, stream: NodeJS.WriteStream = process.stdout): Progress {
  return stream.isTTY ? startBar(label, stream) : startLines(label, stream);
}

function startBar(label: string, stream: NodeJS.WriteStream): Progress {
  const format = `${label} {bar} {percentage}% · {value}/{total} · {duration_formatted}`;
  const bar = new SingleBar({ format, stream, hideCursor: true, barsize: 30 }, Presets.shades_classic);
  bar.start(1, 0);
  return {
    update(done, total) {
      bar.setTotal(total);
      bar.update(done);
    },
    stop: () => bar.stop(),
  };
}

function startLines(label: string, stream: NodeJS.WriteStream): Progress {
  let next = performance.now() + LINE_INTERVAL;
  let shown = '';
  let latest = '';
  const show = (): void => {
    if (latest !== shown) stream.write(`${label} ${latest}\n`);
    shown = latest;
  };
  return {
    update(done, total) {
      latest = `${done}/${total}`;
      if (performance.now() < next) return;
      next = performance.now() + LINE_INTERVAL;
      show();
    },
    stop: show,
  };
}
