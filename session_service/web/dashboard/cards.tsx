// A table at a desk; on a phone one card a row, each value beside its heading, so that nothing is cut at the side.
//
//   <Cards label="Postings" rows={rows} keyOf={(row) => row.id} columns={[{ word: "At", of: (row) => moment(row.at) }]} />
//
// Roles are said, because browsers forget what a table is when its parts are laid out as something else.
import type { ComponentChildren, RefObject } from "preact";
import "./cards.css";

export interface Column<T> {
  word: string;
  of: (row: T) => ComponentChildren;
  look?: string; // classes of its cells, such as "number"
  names?: true; // says what a row is about
}

interface Asked<T> {
  label: string;
  rows: readonly T[];
  columns: readonly Column<T>[];
  keyOf: (row: T) => string;
  look?: string; // classes of the table
  box?: RefObject<HTMLDivElement | null>;
}

export function Cards<T>({ label, rows, columns, keyOf, look = "", box }: Asked<T>) {
  return (
    <div class="wide" role="region" aria-label={label} tabIndex={0} {...(box ? { ref: box } : {})}>
      <table class={`cards ${look}`} role="table" aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">{columns.map(({ word, look: of = "" }) => <th key={word} role="columnheader" scope="col" class={of}>{word}</th>)}</tr>
        </thead>
        <tbody role="rowgroup">{rows.map((row) => <tr key={keyOf(row)} role="row">{columns.map((column) => <Cell key={column.word} row={row} {...column} />)}</tr>)}</tbody>
      </table>
    </div>
  );
}

function Cell<T>({ row, word, of, look = "", names }: Column<T> & { row: T }) {
  if (names) return <th role="rowheader" scope="row" class={look} data-word={word}><div>{of(row)}</div></th>;
  return <td role="cell" class={look} data-word={word}><div>{of(row)}</div></td>;
}
