import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Why a connection did not bring the whole file.
struct TransferFailure: Error {
  let problem: String
  let remedy: String
  /// Whether another attempt would fail as well.
  var isFinal = false
  /// Whether there was no connection at all.
  var isUnreachable = false
}

/// One connection that brings a file, or the rest of one that has begun.
final class Transfer: NSObject, URLSessionDataDelegate, @unchecked Sendable {
  // Unchecked: what changes is touched by `queue` alone, which does one thing at a time, and read when it is through.
  private let partial: PartialFile
  private let resumed: Int
  private let observer: @Sendable (Downloader.Event) -> Void
  private let queue = OperationQueue()
  private var continuation: CheckedContinuation<Void, any Error>?
  private var failure: (any Error)?
  private var received = 0
  private var total: Int?
  /// What the rest was asked for on the condition of, if it was.
  private var validator: String?
  private var silence = Duration.zero

  /// A connection that appends to `partial`, of which `resumed` bytes were there before the first one.
  init(
    into partial: PartialFile, resumed: Int, _ observer: @escaping @Sendable (Downloader.Event) -> Void
  ) {
    self.partial = partial
    self.resumed = resumed
    self.observer = observer
    queue.maxConcurrentOperationCount = 1
  }

  /// Connects and waits for the end of the file.
  ///
  /// - Throws: ``TransferFailure`` or ``DownloadError``, or `CancellationError` if the task is cancelled.
  func run(_ address: URL, timeout: Duration) async throws {
    silence = timeout
    let configuration = URLSessionConfiguration.ephemeral
    configuration.timeoutIntervalForRequest = timeout / .seconds(1)
    let session = URLSession(configuration: configuration, delegate: self, delegateQueue: queue)
    defer { session.finishTasksAndInvalidate() }
    let task = session.dataTask(with: request(address))
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        self.continuation = continuation
        task.resume()
      }
    } onCancel: {
      task.cancel()
    }
  }

  private func request(_ address: URL) -> URLRequest {
    var request = URLRequest(url: address)
    request.setValue("ganglion", forHTTPHeaderField: "User-Agent")
    // A compressed body would have other offsets.
    request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
    received = partial.count
    validator = received > 0 ? partial.validator : nil
    if let validator {
      request.setValue("bytes=\(received)-", forHTTPHeaderField: "Range")
      request.setValue(validator, forHTTPHeaderField: "If-Range")
    }
    return request
  }

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
  ) {
    do {
      try begin(response)
      completionHandler(.allow)
    } catch {
      failure = error
      completionHandler(.cancel)
    }
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    guard failure == nil else { return }
    do {
      try partial.append(data)
      received += data.count
      observer(.progress(received: received, total: total, resumed: resumed))
    } catch {
      failure = error
      dataTask.cancel()
    }
  }

  func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
    if let failure {
      continuation?.resume(throwing: failure)
    } else if let error {
      continuation?.resume(throwing: reason(error))
    } else if let total, received != total {
      continuation?.resume(
        throwing: TransferFailure(
          problem: "ended after \(received) of \(total) bytes", remedy: "try again later"))
    } else {
      continuation?.resume()
    }
    continuation = nil
  }

  /// Takes a response, and makes the file ready for what follows.
  private func begin(_ response: URLResponse) throws {
    guard let response = response as? HTTPURLResponse else {
      throw TransferFailure(
        problem: "was answered in no way of the web", remedy: "check the address", isFinal: true)
    }
    func field(_ name: String) -> String? { response.value(forHTTPHeaderField: name) }
    switch response.statusCode {
    case 200:
      // Whoever asks to sign in, to a network or a site, answers with a page.
      guard field("Content-Type")?.hasPrefix("text/html") != true else {
        throw TransferFailure(
          problem: "is a page for people instead of a file of weights",
          remedy: "open it in a browser to see what is asked for", isFinal: true)
      }
      let tag = field("ETag").flatMap { $0.hasPrefix("W/") ? nil : $0 }
      try partial.restart(validator: tag ?? field("Last-Modified"))
      received = 0
      total = response.expectedContentLength >= 0 ? Int(response.expectedContentLength) : nil
    case 206:
      // Some servers know ranges and no conditions.
      let version = validator.flatMap { field($0.hasPrefix("\"") ? "ETag" : "Last-Modified") }
      guard let range = ContentRange(field("Content-Range")), range.first == received,
        version == nil || version == validator
      else {
        try partial.restart(validator: nil)
        throw TransferFailure(
          problem: "was continued with something else than was asked for", remedy: "try again later")
      }
      total = range.total
    case 416:
      try partial.restart(validator: nil)
      throw TransferFailure(
        problem: "is shorter than what had arrived of it", remedy: "try again later")
    default:
      throw refusal(response.statusCode)
    }
  }

  private func refusal(_ status: Int) -> TransferFailure {
    let isPassing = status == 408 || status == 429 || status >= 500
    let remedy =
      switch status {
      case 401, 403: "the server, or a proxy on the way, does not let you in: fetch the file in a browser"
      case 404, 410: "it was moved or withdrawn: look for it on its authors' pages"
      case _ where isPassing: "try again later"
      default: "fetch the file in a browser"
      }
    return TransferFailure(
      problem: "was refused with HTTP status \(status)", remedy: remedy, isFinal: !isPassing)
  }

  private func reason(_ error: any Error) -> any Error {
    let code = (error as? URLError)?.code
    if code == .cancelled { return CancellationError() }
    if code == .timedOut {
      return TransferFailure(
        problem: String(format: "fell silent for %g s", silence / .seconds(1)), remedy: "try again later")
    }
    let text = (error as NSError).userInfo[NSLocalizedDescriptionKey] as? String
    let isUnreachable =
      code.map {
        [.cannotFindHost, .cannotConnectToHost, .dnsLookupFailed, .notConnectedToInternet].contains($0)
      }
      ?? false
    return TransferFailure(
      problem: "could not be fetched (\(text ?? error.localizedDescription))",
      remedy: isUnreachable
        ? "check the network; HTTPS_PROXY names a proxy if there is one"
        : "try again: what has arrived is kept",
      isUnreachable: isUnreachable)
  }
}

/// Which part of a file a response holds: the field `Content-Range` of RFC 9110, section 14.4.
struct ContentRange: Equatable {
  let first: Int
  let total: Int?

  init?(_ field: String?) {
    guard let match = field?.wholeMatch(of: #/bytes (\d+)-(\d+)\/(\d+|\*)/#), let first = Int(match.1) else {
      return nil
    }
    self.first = first
    total = Int(match.3)
  }
}
