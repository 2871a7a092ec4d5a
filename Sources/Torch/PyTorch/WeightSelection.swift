/// The dictionary of weights among all that a training checkpoint holds.
struct WeightSelection {
  /// The keys that lead to the dictionary, joined by dots; empty for the outermost.
  let path: String
  /// What stood in front of every key and is left out here.
  let prefix: String
  /// The tensors, in the dictionary's order.
  let tensors: [(key: String, tensor: StoredTensor)]
  /// What the dictionary holds besides tensors, and what it is.
  let others: [(key: String, kind: String)]
  /// What the outermost dictionary holds, and what it is.
  let contents: [(key: String, kind: String)]
  /// The paths of all dictionaries with tensors.
  let candidates: [String]

  /// Where weights usually are, the averages that are evaluated first.
  static let usualPaths = ["state_dict_ema", "model_ema", "state_dict", "model", ""]

  /// What the wrapper for training on several devices puts in front of every key.
  static let wrapperPrefix = "module."

  /// Elements of all tensors together, as a multiple of the file's bytes: room for tied weights, but not for a few bytes
  /// that are spread over endless tensors.
  static let expansionLimit = 16
  /// The least that is always allowed, in bytes.
  private static let leastAllowance = 1 << 20
  /// How deep ``candidates`` are looked for.
  private static let depthLimit = 4

  /// Chooses a dictionary.
  ///
  /// - Parameters:
  ///   - graph: what the file's pickle holds.
  ///   - wanted: the path of the dictionary; the first of ``usualPaths`` that has tensors if absent.
  ///   - source: the file.
  /// - Throws: ``CheckpointError`` if there is no such dictionary, or its tensors are larger than the file allows.
  init(_ graph: PickleGraph, selecting wanted: String?, in source: any ByteSource) throws {
    guard let root = graph.members(graph.root) else {
      throw CheckpointError(
        path: source.path, problem: "holds one \(graph.kind(graph.root)) instead of a dictionary of weights",
        remedy: "save the model's state_dict() instead")
    }
    contents = root.map { ($0.key, graph.kind($0.value)) }
    let found = Self.dictionaries(graph)
    candidates = found
    func choices() -> String {
      found.isEmpty
        ? "no dictionary in it has tensors"
        : "name one of \(Self.listed(found.map { $0.isEmpty ? "\"\"" : $0 }))"
    }
    guard let path = wanted ?? Self.usualPaths.first(where: { found.contains($0) }) else {
      throw CheckpointError(
        path: source.path,
        problem: "has no weights where they usually are; its keys are \(Self.listed(root.map(\.key)))",
        remedy: choices())
    }
    guard let place = Self.find(path, graph), let members = graph.members(place) else {
      throw CheckpointError(
        path: source.path, problem: "holds no dictionary '\(path.prefix(200))'", remedy: choices())
    }
    self.path = path
    var tensors: [(key: String, tensor: StoredTensor)] = []
    var others: [(key: String, kind: String)] = []
    for member in members {
      if case .tensor(let tensor) = graph[member.value] {
        tensors.append((member.key, tensor))
      } else {
        others.append((member.key, graph.kind(member.value)))
      }
    }
    guard !tensors.isEmpty else {
      throw CheckpointError(
        path: source.path,
        problem:
          "its dictionary '\(path.prefix(200))' has no tensors, its keys are \(Self.listed(members.map(\.key)))",
        remedy: choices())
    }
    let isWrapped = tensors.allSatisfy {
      $0.key.hasPrefix(Self.wrapperPrefix) && $0.key != Self.wrapperPrefix
    }
    let prefix = isWrapped ? Self.wrapperPrefix : ""
    self.prefix = prefix
    self.tensors = tensors.map { (String($0.key.dropFirst(prefix.count)), $0.tensor) }
    self.others = others
    try checkExpansion(source)
  }

  private func checkExpansion(_ source: any ByteSource) throws {
    let (product, overflow) = source.count.multipliedReportingOverflow(by: Self.expansionLimit)
    let limit = overflow ? Int.max : max(product, Self.leastAllowance)
    var total = 0
    for (key, tensor) in tensors where tensor.obstacle == nil {
      let (sum, overflow) = total.addingReportingOverflow(tensor.byteCount)
      guard !overflow, sum <= limit else {
        throw CheckpointError(
          path: source.path, key: key,
          problem:
            "makes the tensors larger than \(Self.expansionLimit) times the file, whose elements they share",
          remedy: "save clones of expanded tensors")
      }
      total = sum
    }
  }

  /// The paths of the dictionaries that hold a tensor, outermost first; each dictionary once.
  private static func dictionaries(_ graph: PickleGraph) -> [String] {
    var paths: [String] = []
    var seen: Set<PickleValue.Reference> = [graph.root]
    var level = [(path: "", place: graph.root)]
    for _ in 0..<depthLimit where !level.isEmpty {
      var next: [(path: String, place: PickleValue.Reference)] = []
      for (path, place) in level {
        guard let members = graph.members(place) else { continue }
        var hasTensor = false
        for (key, value) in members {
          if case .tensor = graph[value] { hasTensor = true }
          if key.utf8.count <= keyLimit, seen.insert(value).inserted {
            next.append((path.isEmpty ? key : "\(path).\(key)", value))
          }
        }
        if hasTensor { paths.append(path) }
      }
      level = next
    }
    return paths
  }

  /// Longer keys are none that a person would type.
  private static let keyLimit = 200

  /// The value at a path; keys may hold dots themselves.
  private static func find(_ path: String, _ graph: PickleGraph) -> PickleValue.Reference? {
    struct Step: Hashable {
      let place: PickleValue.Reference
      let rest: Substring
    }
    var open = [Step(place: graph.root, rest: path[...])]
    var seen: Set<Step> = []
    while let step = open.popLast() {
      if step.rest.isEmpty { return step.place }
      guard seen.insert(step).inserted, let members = graph.members(step.place) else { continue }
      for (key, value) in members.reversed() where step.rest.hasPrefix(key) && !key.isEmpty {
        let rest = step.rest.dropFirst(key.count)
        if rest.isEmpty { return value }
        if rest.first == "." { open.append(Step(place: value, rest: rest.dropFirst())) }
      }
    }
    return nil
  }

  /// A few texts of a stranger for a sentence.
  private static func listed(_ texts: [String]) -> String {
    let few = texts.prefix(12).map { "'\($0.prefix(80))'" }.joined(separator: ", ")
    return texts.isEmpty ? "none" : few + (texts.count > 12 ? " and \(texts.count - 12) more" : "")
  }
}
