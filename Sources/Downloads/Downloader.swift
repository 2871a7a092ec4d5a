public import Backbones
public import Foundation

/// Fetches files of weights into a cache.
///
/// What has arrived stays when a connection breaks or the process ends, and the next attempt asks for the rest, on the
/// condition that the file is still the same. A file appears under its name only when it is complete and has the digest
/// that is known of it. Processes that want the same file wait for the one that fetches it.
///
/// Proxies are those of the environment: `https_proxy` or `HTTPS_PROXY`, `all_proxy`, `no_proxy`, and `http_proxy` for
/// addresses without encryption.
public struct Downloader: Sendable {
  /// Something that happens on the way.
  public enum Event: Hashable, Sendable {
    /// `received` bytes of the file are there, of `total` if the server says how many there are; `resumed` of them were
    /// there before this call.
    case progress(received: Int, total: Int?, resumed: Int)
    /// The connection failed, and is tried again after a pause.
    case retry(problem: String, after: Duration)
    /// Another process fetches the same file.
    case waiting
  }

  /// Where files are kept.
  public var cache: WeightsCache
  /// Whether only the cache may be used.
  public var isOffline = false
  /// Attempts in a row that may fail without getting further in the file.
  public var attempts = 5
  /// The pause after the first of them; each further one is twice as long.
  public var pause = Duration.seconds(1)
  /// The silence after which a connection counts as broken.
  public var timeout = Duration.seconds(30)

  /// A downloader into a cache.
  public init(cache: WeightsCache = WeightsCache()) {
    self.cache = cache
  }

  /// The file of weights: that of the cache, or a fetched one.
  ///
  /// - Parameters:
  ///   - weights: the weights.
  ///   - observer: is told what happens; on any thread, one event at a time.
  /// - Returns: where the file is.
  /// - Throws: ``DownloadError`` if it cannot be fetched, or `CancellationError` if the task is cancelled.
  public func file(
    of weights: PublishedWeights, observer: @escaping @Sendable (Event) -> Void = { _ in }
  ) async throws -> URL {
    if let file = cache.file(of: weights) { return file.url }
    let place = cache.location(of: weights)
    guard !isOffline else {
      throw DownloadError(
        weights.url, "is not in the cache, and the network is not to be used",
        remedy: "fetch it where there is a network and put it at \(place.path(percentEncoded: false))")
    }
    guard let address = URL(string: weights.url), ["https", "http"].contains(address.scheme) else {
      throw DownloadError(weights.url, "is not an address of the web", remedy: "give one with https://")
    }
    do {
      try FileManager.default.createDirectory(at: cache.folder, withIntermediateDirectories: true)
    } catch {
      throw DownloadError(
        cache.folder.path(percentEncoded: false), "the folder cannot be made",
        remedy: "check the path, or choose another by GANGLION_CACHE")
    }
    let partialURL = place.appendingPathExtension(WeightsCache.partEnding)
    var isWaiting = false
    while true {
      if let partial = try PartialFile.open(partialURL) {
        defer { partial.close() }
        // Another process may have finished between the first look and the lock.
        if cache.file(of: weights) != nil {
          partial.remove()
          return place
        }
        do {
          try await fill(partial, from: address, observer)
        } catch {
          if partial.count == 0 { partial.remove() }
          throw error
        }
        try check(partial, weights)
        try partial.move(to: place)
        return place
      }
      if let file = cache.file(of: weights) { return file.url }
      if !isWaiting { observer(.waiting) }
      isWaiting = true
      try await Task.sleep(for: .milliseconds(200))
    }
  }

  /// Fetches what is missing of a file, with as many connections as it takes.
  private func fill(
    _ partial: PartialFile, from address: URL, _ observer: @escaping @Sendable (Event) -> Void
  ) async throws {
    let start = partial.count
    // The most that ever was there: a server that always starts anew and breaks off gets nowhere.
    var best = start
    var failures = 0
    while true {
      do {
        return try await Transfer(into: partial, resumed: start, observer).run(address, timeout: timeout)
      } catch let failure as TransferFailure {
        failures = partial.count > best ? 1 : failures + 1
        best = max(best, partial.count)
        let isHopeless = failure.isFinal || (failure.isUnreachable && best == start)
        guard !isHopeless, failures < attempts else {
          throw DownloadError(address.absoluteString, failure.problem, remedy: failure.remedy)
        }
        let wait = pause * (1 << (failures - 1))
        observer(.retry(problem: failure.problem, after: wait))
        try await Task.sleep(for: wait)
      }
    }
  }

  private func check(_ partial: PartialFile, _ weights: PublishedWeights) throws {
    guard let expected = weights.sha256?.lowercased() else { return }
    let found = try partial.sha256()
    guard !found.hasPrefix(expected) else { return }
    partial.remove()
    throw DownloadError(
      weights.url,
      "has the SHA-256 digest \(found.prefix(expected.count)) instead of \(expected), and was removed",
      remedy: "try once more; if it happens again, the file is not the one that its authors published")
  }
}
