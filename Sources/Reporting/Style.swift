/// How the report looks: light and dark, wide and narrow, on screen and on paper.
enum Style {
  /// The style sheet; it holds no character that XML would read as markup.
  static let sheet: Markup = """
    :root {
      color-scheme: light dark;
      --paper: #fcfbf8; --ink: #1c1f24; --soft: #5d646e; --line: #e2dfd7; --panel: #f4f2ec;
      --c1: #3b6ea8; --c2: #b4501e; --c3: #55752f; --accent: #0f6f72;
      --right: 15 111 114; --wrong: 190 76 16; --on-mid: #1c1f24; --on-deep: #fff;
      --sans: "Inter", -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
      --serif: Charter, "Iowan Old Style", "Palatino Linotype", Palatino, Georgia, "Source Serif 4", serif;
      --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --paper: #15171b; --ink: #e7e5e0; --soft: #a2a8b1; --line: #2f333a; --panel: #1c1f24;
        --c1: #7fb0e6; --c2: #f0965c; --c3: #a3c76f; --accent: #4fc3c4;
        --right: 79 195 196; --wrong: 240 140 76; --on-mid: #101315; --on-deep: #101315;
      }
    }
    * { box-sizing: border-box; }
    html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
    body {
      margin: 0 auto; max-width: 1020px; padding: 56px 32px 72px;
      background: var(--paper); color: var(--ink);
      font: 16px/1.5 var(--sans); font-variant-numeric: tabular-nums lining-nums; overflow-wrap: anywhere;
    }
    a { color: inherit; text-decoration-color: var(--line); text-underline-offset: 4px; }
    a:hover { color: var(--accent); text-decoration-color: currentColor; }
    p { max-width: 68ch; margin: 0 0 20px; }
    b { font-weight: 600; }
    small { font-size: 13px; color: var(--soft); }
    .kicker { margin: 0 0 10px; color: var(--soft); font-size: 14px; }
    h1, h2, h3 { font-family: var(--serif); font-weight: 600; line-height: 1.15; text-wrap: balance; }
    h1 { margin: 0 0 26px; font-size: 40px; letter-spacing: -0.012em; }
    h1 .run { display: inline-block; color: var(--soft); font-weight: 400; }
    h2 { margin: 0 0 14px; font-size: 27px; letter-spacing: -0.006em; }
    h3 { margin: 30px 0 14px; font-size: 19px; }
    h4 { margin: 16px 0 6px; font-size: 14px; font-weight: 600; color: var(--soft); }
    .result { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 22px; margin: 0 0 30px; max-width: none; }
    .result data { font: 600 68px/1 var(--serif); letter-spacing: -0.02em; color: var(--accent); white-space: nowrap; }
    .result span { flex: 1 1 240px; max-width: 38ch; font-size: 18px; line-height: 1.4; text-wrap: balance; }
    .figures {
      display: grid; grid-template-columns: repeat(auto-fit, minmax(108px, 1fr)); gap: 18px 22px; margin: 0;
      padding: 18px 0; border: solid var(--line); border-width: 1px 0;
    }
    .figures dt { color: var(--soft); font-size: 14px; }
    .figures dd { margin: 0; font-size: 20px; font-weight: 600; white-space: nowrap; }
    .figures small { display: block; font-weight: 400; white-space: normal; }
    .notes { margin: 22px 0 0; padding: 14px 18px 14px 36px; background: var(--panel); border-radius: 6px; font-size: 15px; }
    .notes li + li { margin-top: 6px; }
    nav { display: flex; flex-wrap: wrap; gap: 6px 24px; margin: 24px 0 0; font-size: 15px; }
    section { margin-top: 60px; }
    figure { margin: 0; min-width: 0; }
    figcaption { margin-bottom: 10px; color: var(--soft); font-size: 14px; line-height: 1.45; }
    .title { color: var(--ink); font-size: 15px; font-weight: 600; }
    figcaption > .title { display: block; }
    .charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 36px 40px; }
    .chart { display: flex; flex-direction: column; justify-content: space-between; }
    .legend { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 16px; }
    .key::before { content: ""; display: inline-block; width: 16px; height: 3px; margin-right: 6px; border-radius: 2px; background: var(--c); vertical-align: 4px; }
    .key.raw::before { opacity: 0.4; }
    .key.dots::before { width: 8px; height: 8px; border-radius: 50%; vertical-align: 0; }
    .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); }
    .sign { color: var(--soft); white-space: nowrap; } .sign i { font-style: normal; } .sign.accent i { color: var(--accent); }
    svg { display: block; width: 100%; height: auto; overflow: visible; }
    svg text { font-family: var(--sans); font-size: 12px; fill: var(--soft); }
    svg .grid { stroke: var(--line); stroke-width: 1; }
    svg path.line, svg path.dots { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
    svg path.dots { stroke-width: 1.5; }
    svg path.raw { fill: none; stroke: var(--c); stroke-width: 1; opacity: 0.38; stroke-linejoin: round; }
    svg circle { fill: var(--c); }
    svg circle.ring { fill: none; stroke: var(--c2); stroke-width: 1.5; }
    svg text.mark { fill: var(--ink); font-weight: 600; font-size: 13px; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
    svg text.stage { fill: var(--ink); font-weight: 600; font-size: 14px; }
    svg .chain { stroke: var(--line); stroke-width: 3; }
    svg .arc { fill: none; stroke: var(--soft); stroke-width: 1.4; opacity: 0.75; }
    svg .arc.far { stroke: var(--accent); opacity: 1; }
    svg .arc:hover { stroke-width: 3; opacity: 1; }
    svg .ordinary { fill: var(--soft); } svg .ganglion { fill: var(--accent); }
    svg .input { fill: var(--paper); stroke: var(--soft); stroke-width: 2; }
    .wiring { margin: 6px 0 20px; }
    .columns { display: grid; grid-template-columns: minmax(0, 1.75fr) minmax(0, 1fr); gap: 36px 40px; align-items: start; }
    .columns.even { grid-template-columns: repeat(2, minmax(0, 1fr)); margin-top: 36px; }
    .scroll { overflow-x: auto; }
    table { border-collapse: collapse; font-size: 14px; }
    th { font-weight: 400; text-align: left; }
    td { text-align: right; }
    .confusion { width: 100%; min-width: 460px; table-layout: fixed; border-collapse: separate; border-spacing: 2px; }
    .confusion th[scope="row"], .confusion thead td { width: 86px; }
    .confusion th[scope="row"] { position: sticky; left: 0; padding-right: 6px; background: var(--paper); text-align: right; overflow-wrap: anywhere; line-height: 1.2; }
    .confusion thead th { height: 92px; padding: 0; vertical-align: bottom; }
    .confusion thead span { display: block; margin: 0 auto; max-height: 140px; overflow: hidden; writing-mode: vertical-rl; transform: rotate(180deg); overflow-wrap: normal; white-space: nowrap; }
    .confusion tbody td { height: 40px; padding: 0; border-radius: 3px; text-align: center; line-height: 1.1; overflow-wrap: normal; }
    .confusion td small { display: block; font-size: 10.5px; color: inherit; }
    .confusion .zero { color: var(--soft); background: var(--panel); opacity: 0.8; }
    .confusion .right { background: rgb(var(--right) / var(--p)); }
    .confusion .wrong { background: rgb(var(--wrong) / var(--p)); }
    .confusion .mid { color: var(--on-mid); } .confusion .deep { color: var(--on-deep); }
    .bars { width: 100%; }
    .bars th, .bars td { padding: 4px 0; } .bars td { padding-left: 12px; white-space: nowrap; width: 1%; }
    .bars td.bar { width: 45%; }
    .bars i { display: block; height: 10px; min-width: 1px; border-radius: 2px; background: var(--accent); }
    .faint { color: var(--soft); }
    .list { width: 100%; }
    .list th, .list td { padding: 6px 16px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
    .list thead th { color: var(--soft); } .list td.text { text-align: left; }
    .facts tbody th { color: var(--soft); white-space: nowrap; } .facts thead th { color: var(--ink); font-weight: 600; }
    .facts td.text { min-width: 150px; }
    details { margin-top: 14px; } summary { cursor: pointer; color: var(--soft); font-size: 14px; }
    .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 26px 24px; }
    .card img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; margin-bottom: 8px; border-radius: 6px; background: var(--panel); }
    .card figcaption { margin-bottom: 6px; } .card figcaption > .title { display: inline; }
    .card ol { margin: 0; padding: 0; list-style: none; font-size: 13px; line-height: 1.3; }
    .card li { display: grid; grid-template-columns: 1fr auto; gap: 0 8px; margin-bottom: 5px; color: var(--soft); }
    .card li.true { color: var(--ink); font-weight: 600; }
    .card i { grid-column: 1 / -1; height: 4px; min-width: 1px; border-radius: 2px; background: var(--c2); }
    .card li.true i { background: var(--accent); }
    pre { margin: 0; padding: 18px 22px; overflow-x: auto; background: var(--panel); border-radius: 6px; font: 13.5px/1.55 var(--mono); columns: 320px 2; column-gap: 40px; overflow-wrap: normal; tab-size: 2; }
    footer { margin-top: 64px; padding-top: 16px; border-top: 1px solid var(--line); color: var(--soft); font-size: 14px; }
    @media screen and (max-width: 760px) {
      body { padding: 28px 18px 48px; }
      h1 { font-size: 31px; } h1 .run { display: block; font-size: 22px; margin-top: 4px; }
      .result data { font-size: 54px; } .result span { font-size: 17px; }
      .charts, .columns, .columns.even { grid-template-columns: minmax(0, 1fr); }
      .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 22px 16px; }
      section { margin-top: 46px; }
      .chart svg text { font-size: 14px; }
      .bars td.bar { width: 32%; }
    }
    @media print {
      :root {
        --paper: #fff; --ink: #000; --soft: #444; --line: #ccc; --panel: #f3f3f3;
        --c1: #3b6ea8; --c2: #b4501e; --c3: #55752f; --accent: #0f6f72;
        --right: 15 111 114; --wrong: 190 76 16; --on-mid: #1c1f24; --on-deep: #fff;
      }
      body { max-width: none; padding: 0; font-size: 10pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
      nav, details { display: none; }
      figure, tr, .card { break-inside: avoid; } h2, h3 { break-after: avoid; }
      .charts { gap: 20px 24px; } .cards { grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 16px 14px; }
      .columns { gap: 24px; } .confusion { min-width: 0; } .confusion tbody td { height: 30px; }
      .figures { grid-template-columns: repeat(auto-fit, minmax(78px, 1fr)); gap: 10px 14px; } .figures dd { font-size: 15px; }
      .card ol, .bars, table { font-size: 8.5pt; } pre { font-size: 8.5pt; columns: 220px 3; }
      section { margin-top: 32px; }
    }
    """
}
