import { init } from 'echarts';

/** A picture of figures: one bar, or one point of a line, per category and series. */
export interface Chart {
  readonly title: string;
  /** What the values are, with their unit. */
  readonly values: string;
  readonly form: 'bars' | 'lines';
  readonly categories: readonly string[];
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[];
  /** Each step of the axis is ten times the one before. */
  readonly isLogarithmic?: boolean;
}

const SIZE = { width: 1_000, height: 460 };

/** The picture, as SVG. */
export function renderSvg({ title, values, form, categories, series, isLogarithmic = false }: Chart): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...SIZE });
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    title: { text: title, left: 'center', textStyle: { fontSize: 15 } },
    legend: { bottom: 0, type: 'plain' },
    grid: { left: 70, right: 20, top: 50, bottom: 95 },
    xAxis: { type: 'category', data: [...categories], axisLabel: { interval: 0 } },
    yAxis: { type: isLogarithmic ? 'log' : 'value', name: values, nameLocation: 'middle', nameGap: 52 },
    series: series.map(({ name, values: data }) => ({
      name,
      type: form === 'bars' ? 'bar' : 'line',
      data: [...data],
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
