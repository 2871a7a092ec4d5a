import Analysis
import ArgumentParser
import Backbones
import Downloads
import Foundation

struct DownloadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "download",
    abstract: "Fetch the weights that models' authors publish.",
    discussion: """
      Prints where each file is; --pretrained of other verbs finds it there. What was interrupted is continued by the \
      next call. A file whose digest is published is kept only if it has that digest.

      Files are kept in `weights` in the folder GANGLION_CACHE, by default in ~/.cache/ganglion. A proxy is taken from \
      HTTPS_PROXY. --offline, or GANGLION_OFFLINE=1, uses no network.

      Each line of --json is an object: model, file, bytes, complete, url and license.

      Examples:
        ganglion download sparx_mamba_t
        ganglion download 'vmamba_*' 'vim_*'
        ganglion download --list
        ganglion download --remove mamba_vision_L
      """)

  @ArgumentParser.Argument(
    help: ArgumentHelp("Names of models, in which * and ? stand for other text.", valueName: "patterns"),
    completion: .list(Architecture.names))
  var patterns: [String] = []

  @Flag(help: "List the files in the cache, of all models or of those named.")
  var list = false

  @Flag(help: "Remove the files of the models named from the cache.")
  var remove = false

  @Flag(help: "Write one JSON object a file to standard output.")
  var json = false

  @OptionGroup var network: NetworkOptions

  func validate() throws {
    if list && remove { throw ValidationError("give either --list or --remove.") }
    if patterns.isEmpty && !list {
      throw ValidationError("name a model; `ganglion models` lists them.")
    }
  }

  func run() async throws {
    let cache = network.downloader.cache
    if list || remove {
      var rows = try self.rows(of: cache)
      if remove {
        if rows.isEmpty { say("nothing of that is in the cache") }
        for row in rows { try cache.remove(row.entry) }
        for index in rows.indices { rows[index].isRemoved = true }
      }
      try show(rows)
    } else {
      for (architecture, weights) in try architectures() {
        _ = try await network.fetch(architecture)
        try show(cache.files(of: weights).map { CacheRow($0, architecture, weights) })
      }
    }
  }

  /// The files of the models named, or all files if none is.
  private func rows(of cache: WeightsCache) throws -> [CacheRow] {
    guard patterns.isEmpty else {
      return try architectures().flatMap { architecture, weights in
        cache.files(of: weights).map { CacheRow($0, architecture, weights) }
      }
    }
    let known = Architecture.allCases.flatMap { architecture in
      (architecture.publication?.weights).map { weights in
        cache.files(of: weights).map { CacheRow($0, architecture, weights) }
      } ?? []
    }
    let strangers = Set(try cache.files()).subtracting(known.map(\.entry))
    return known + strangers.map { CacheRow($0) }.sorted { $0.file < $1.file }
  }

  private func show(_ rows: [CacheRow]) throws {
    if json {
      for row in rows { try outputJSON(row) }
    } else if list {
      if !rows.isEmpty { output(CacheRow.table(rows)) }
    } else {
      for row in rows { output(row.file) }
    }
  }

  /// The models named that have published weights, in the catalog's order.
  private func architectures() throws -> [(Architecture, PublishedWeights)] {
    var found: Set<Architecture> = []
    for pattern in patterns {
      let matching = Architecture.allCases.filter { fnmatch(pattern, $0.rawValue, 0) == 0 }
      guard !matching.isEmpty else {
        throw ValidationError(
          "no model is called '\(printable(pattern))'; there are \(Architecture.names.joined(separator: ", "))."
        )
      }
      let published = matching.filter { $0.publication?.weights != nil }
      if published.isEmpty, let first = matching.first { _ = try first.publishedWeights() }
      found.formUnion(published)
    }
    return try Architecture.allCases.filter(found.contains).map { ($0, try $0.publishedWeights()) }
  }
}

/// A file of the cache, for people and programs.
private struct CacheRow: Encodable {
  let entry: WeightsCache.File
  let model: String?
  let file: String
  let url, license: String?
  var isRemoved = false

  private enum CodingKeys: CodingKey {
    case model, file, bytes, complete, removed, url, license
  }

  init(_ entry: WeightsCache.File, _ architecture: Architecture? = nil, _ weights: PublishedWeights? = nil) {
    self.entry = entry
    model = architecture?.rawValue
    file = entry.url.path(percentEncoded: false)
    (url, license) = (weights?.url, weights?.license.rawValue)
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encodeIfPresent(model, forKey: .model)
    try container.encode(file, forKey: .file)
    try container.encode(entry.byteCount, forKey: .bytes)
    try container.encode(entry.isComplete, forKey: .complete)
    if isRemoved { try container.encode(true, forKey: .removed) }
    try container.encodeIfPresent(url, forKey: .url)
    try container.encodeIfPresent(license, forKey: .license)
  }

  static func table(_ rows: [CacheRow]) -> String {
    var table = TextTable([("model", .left), ("size", .right), ("", .left), ("file", .left)])
    for row in rows {
      let size = String(format: "%.1f MB", Double(row.entry.byteCount) / 1e6)
      table.append([row.model ?? "-", size, row.entry.isComplete ? "" : "incomplete", printable(row.file)])
    }
    return table.lines.joined(separator: "\n")
  }
}
