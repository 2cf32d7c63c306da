import {
  And,
  Any,
  ArrayContains,
  ArrayOverlap,
  Between,
  Equal,
  FindOperator,
  ILike,
  In,
  JsonContains,
  LessThan,
  Like,
  MoreThan,
  Not,
  Or,
  Raw,
} from 'typeorm';

import { compileWhere } from '../../../src/model/where/where';
import { metadataOnly } from './blog';
import { Thing } from './things';

const notSame = 'to be the same condition in JS as in SQL, got: ';

describe('an operator of a where is refused', () => {
  const cases: [got: string, where: Record<string, unknown>, problem: string][] = [
    ['ILike', { text: ILike('a') }, `expected 'where.text' ${notSame}ILike (what is upper and lower case depends on`],
    ['Raw', { text: Raw("'a'") }, `${notSame}Raw (JavaScript cannot evaluate SQL). Use 'if' instead`],
    ['Raw with a function', { text: Raw((alias) => `${alias} = 'a'`) }, `${notSame}Raw (`],
    ['JsonContains', { json: JsonContains({ a: 1 }) }, `${notSame}JsonContains (JavaScript loses digits of the numbers in JSON)`],
    ['one that it does not know', { text: new FindOperator('soundsLike' as never, 'a') }, `${notSame}SoundsLike (it is not known here)`],
    ['a refused one in others', { text: Not(And(Equal('a'), Or(ILike('a')))) }, `${notSame}ILike (`],
    ['LessThan(Not)', { int: LessThan(Not(5)) }, `${notSame}LessThan of an operator (it takes values)`],
    ['And without conditions', { int: Not(And()) }, `${notSame}And() (it has no conditions)`],
    ['Or without conditions', { int: Or() }, `${notSame}Or() (it has no conditions)`],
    ['In without a list', { int: In(5 as never) }, `${notSame}In(5) (it takes a list)`],
    ['Any without a list', { int: Any('{5}' as never) }, `${notSame}Any("{5}") (it takes a list)`],
    ['an order of text', { text: MoreThan('a') }, `${notSame}MoreThan on a text column (its order depends on the collation)`],
    ['a range of text', { text: Between('a', 'b') }, `${notSame}Between on a text column (its order depends on the collation)`],
    ['an order of an enum', { enum: LessThan('red') }, `${notSame}LessThan on a enum column (its order is that of the labels in the database)`],
    ['an order of arrays', { ints: MoreThan([1]) }, `${notSame}MoreThan on a int array column (arrays only have equality and containment)`],
    ['Like on a uuid', { uuid: Like('a%') }, `${notSame}Like on a uuid column (only text has it)`],
    ['Like on an array', { texts: Like('a%') }, `${notSame}Like on a text array column (only text has it)`],
    ['Like with a lone backslash', { text: Like('a\\') }, `${notSame}Like("a\\\\") (no pattern that PostgreSQL accepts)`],
    ['Like with a NUL', { text: Like('\0') }, '(no pattern that PostgreSQL accepts)'],
    ['Like with half a character', { text: Like('😀'.slice(1)) }, '(no pattern that PostgreSQL accepts)'],
    ['Like without text', { text: Like(undefined as never) }, `${notSame}Like(undefined) (`],
    ['ArrayContains on text', { text: ArrayContains(['a']) }, `${notSame}ArrayContains on a text column (only arrays have it)`],
    ['Like on JSON', { json: Like('a') }, "expected 'where.json' to be of a type that can be compared, got: jsonb, which only supports IsNull()"],
    ['In on JSON', { json: In([]) }, 'to be of a type that can be compared, got: jsonb'],
    ['ArrayContains on numeric[]', { numerics: ArrayContains(['1']) }, 'to be of a type that can be compared, got: numeric array'],
    ['equality of an array of enums', { enums: ['red'] }, 'to be of a type that can be compared, got: enum array'],
  ]; // prettier-ignore

  it.each(cases)('%s', async (_name, where, problem) => {
    expect(await problemsOf(where)).toEqual([expect.stringContaining(problem)]);
  });
});

describe('a value of a where is refused', () => {
  const cases: [name: string, where: Record<string, unknown>, problem: string][] = [
    ['undefined', { int: undefined }, "expected 'where.int' to be compared with a int, got: undefined. Leave it out, or use IsNull() for NULL"],
    ['undefined in an operator', { int: Not(Equal(undefined)) }, 'got: undefined. Leave it out'],
    ['undefined in a list', { int: Any([undefined]) }, 'got: undefined. Leave it out'],
    ['an undefined embedded', { part: undefined }, "expected 'where.part' to be an object of properties, got: undefined. Leave it out"],
    ['an embedded without alternatives', { part: [] }, "expected 'where.part' to list at least one alternative"],
    ['undefined in an embedded', { part: [{ size: undefined }] }, "expected 'where.part[0].size' to be compared with a int, got: undefined"],
    ['NULL in an In', { int: In([1, null]) }, 'got: null. Use IsNull() for NULL'],
    ['an operator in a list', { int: In([Not(1)]) }, 'got: a FindOperator. Use a value of its type'],
    ['no boolean', { constructed: 'yes' }, "expected 'where.constructed' to be compared with a Boolean, got: \"yes\". Use a value of its type"],
    ['no uuid', { uuid: 'a' }, 'Use a value of its type'],
    ['a NUL', { text: 'a\0' }, 'Use a value of its type'],
    ['half a character', { text: '😀'.slice(0, 1) }, 'Use a value of its type'],
    ['a day that does not exist', { date: '2026-02-30' }, 'Use a value of its type'],
    ['the year 0', { date: '0000-01-01' }, 'Use a value of its type'],
    ['one value for an array', { ints: 5 }, "expected 'where.ints' to be compared with a int array, got: 5"],
    ['an element of another type', { ints: ArrayContains(['x']) }, 'to be compared with a int array, got: ["x"]'],
    ['an element that does not fit', { smallints: ArrayOverlap([40_000]) }, 'to be compared with a smallint array'],
    ['a fraction among integers', { ints: [1.5] }, 'to be compared with a int array, got: [1.5]'],
    ['two dimensions', { ints: ArrayContains([[1], [2]]) }, 'to be compared with a int array, got: [[1], [2]]'],
    ['undefined in an array', { ints: [undefined] }, 'to be compared with a int array, got: [undefined]'],
  ]; // prettier-ignore

  it.each(cases)('%s', async (_name, where, problem) => {
    expect(await problemsOf(where)).toEqual([expect.stringContaining(problem)]);
  });
});

async function problemsOf(where: Record<string, unknown>): Promise<string[]> {
  const dataSource = await metadataOnly([Thing]);
  const metadata = dataSource.getMetadata(Thing);
  const problems: string[] = [];
  const problem = (message: string) => problems.push(message);
  expect(compileWhere(where, { metadata, driver: dataSource.driver, problem })).toBeNull();
  return problems;
}
